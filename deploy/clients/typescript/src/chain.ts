/** The chain of fall-backs as values: which keys to read, and which of what was read to show. */

import { type Answer, nothing, type Source } from "./answers.js";
import { categoryKey, decodeList, recKey, similarKey, TRENDING_KEY } from "./contract.js";
import { ClientError, ListsUnavailableError, RequestError } from "./errors.js";

/** A list to look for. `place`: its key without an id, for messages. */
export interface Link {
  readonly source: Source;
  readonly key: string;
  readonly place: string;
}

const MAX_ID_LENGTH = 256;
const MAX_CATEGORY_LENGTH = 10_000;

/**
 * What to look for, the best first; what is undefined or null is left out.
 *
 * @throws RequestError: an empty or endless id, something else than text, a size below 1.
 */
export function links(
  user: string | null | undefined,
  lastItem: string | null | undefined,
  category: string | null | undefined,
  size: number,
): Link[] {
  if (!Number.isInteger(size) || size < 1) {
    throw new RequestError(`size is ${size}: ask for at least 1 item.`);
  }
  const found: Link[] = [];
  if (user != null) {
    checkId("user", user);
    found.push({ source: "own", key: recKey(user), place: "endcap:rec:{<user>}" });
  }
  if (lastItem != null) {
    checkId("lastItem", lastItem);
    found.push({ source: "similar", key: similarKey(lastItem), place: "endcap:similar:{<item>}" });
  }
  if (category != null) {
    checkId("category", category, MAX_CATEGORY_LENGTH);
    const key = categoryKey(category);
    if (key) found.push({ source: "category", key, place: "endcap:trending:<category>" });
  }
  found.push({ source: "trending", key: TRENDING_KEY, place: TRENDING_KEY });
  return found;
}

/** @throws RequestError: it cannot be part of a key. */
export function checkId(name: string, value: unknown, maxLength = MAX_ID_LENGTH): void {
  if (typeof value !== "string") {
    throw new RequestError(`${name} is a ${typeof value}: give text, or leave it out.`);
  }
  if (value === "") {
    throw new RequestError(`${name} is "": leave it out where it is not known.`);
  }
  // Counted as endcap counts them, an emoji as one; `length` is never less.
  const length = value.length > maxLength ? [...value].length : value.length;
  if (length > maxLength) {
    throw new RequestError(`${name} has ${length} characters: at most ${maxLength} may be.`);
  }
  if (/\p{Surrogate}/u.test(value)) {
    throw new RequestError(`${name} holds half a surrogate pair: it is not text.`);
  }
}

/**
 * What one try gave. `isSettled`: asking again would change nothing, for no better list is missing
 * for want of an answer.
 */
export interface Look {
  readonly answer: Answer;
  readonly problem: ClientError | undefined;
  readonly isSettled: boolean;
}

/**
 * The first list that is there and has items, cut to `size`; what cannot be read is passed over, and
 * the first of that is the `problem`.
 */
export function look(
  links: readonly Link[],
  readings: readonly (string | null | ClientError)[],
  size: number,
): Look {
  let problem: ClientError | undefined;
  let isSettled = true;
  for (const [place, link] of links.entries()) {
    try {
      const reading = readings[place];
      if (reading instanceof ClientError) throw reading;
      if (reading == null) continue;
      const { items, version, model, generated_at, variant } = decodeList(reading, link.place);
      if (items.length === 0) continue;
      const answer = {
        source: link.source,
        items: items.slice(0, size),
        version,
        model,
        generatedAt: generated_at,
        variant,
        problem: problem?.message ?? "",
      };
      return { answer, problem, isSettled };
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      problem ??= error;
      isSettled &&= !(error instanceof ListsUnavailableError);
    }
  }
  return { answer: nothing(problem?.message ?? ""), problem, isSettled };
}
