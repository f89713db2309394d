/** endcap's lists for a page: what to show this shopper, in one round trip to Redis. */

export type { Answer, Observation, Source } from "./answers.js";
export { Client, type Where } from "./client.js";
export type { Item, ListItem } from "./contract.js";
export {
  ClientError,
  ListsUnavailableError,
  ReadRefusedError,
  RequestError,
  UnreadableValueError,
} from "./errors.js";
export type { Options } from "./options.js";
