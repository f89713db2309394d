/** What a caller gets. */

import type { ListItem } from "./contract.js";

/**
 * Which list it is: the shopper's own, what goes with the last item, what trends in the category,
 * what trends for everybody; or none of them.
 */
export type Source = "own" | "similar" | "category" | "trending" | "none";

/**
 * A list, best first, and where it is from. `version`, `model`, `generatedAt` (Unix milliseconds) and
 * `variant` are the list's own; 0 and "" where `source` is `none`. `variant` says which lists of which
 * experiments these are, "" of none: send it back with impressions, as the `propensity` of the items.
 * `problem` says, in a sentence, why a better list could not be read; "" where nothing went wrong.
 */
export interface Answer {
  readonly source: Source;
  readonly items: readonly ListItem[];
  readonly version: number;
  readonly model: string;
  readonly generatedAt: number;
  readonly variant: string;
  readonly problem: string;
}

/**
 * One read, for a metric. It holds no id, so each field may be a label. `error`: the name of the
 * error that was thrown or is the answer's `problem`; "" for none. `tries`: round trips, 1 when all
 * is well.
 */
export interface Observation {
  readonly what: "list" | "items";
  readonly source: Source | "";
  readonly error: string;
  readonly tries: number;
  readonly ms: number;
}

export function nothing(problem: string): Answer {
  return { source: "none", items: [], version: 0, model: "", generatedAt: 0, variant: "", problem };
}
