/** How long a page waits, how often it asks again, and who is told. */

import type { Observation } from "./answers.js";
import { RequestError } from "./errors.js";

/**
 * Defaults suit a page in the same data centre as its Redis.
 *
 * `timeoutMs` (200): a try, connecting included. `tries` (3): the first one included. `backoffMs`
 * (20): at most this long before the second try, twice as long before the next, up to
 * `backoffCapMs` (200); the true pause is drawn between nothing and that. `deadlineMs` (500): no try
 * begins later than this after the first. Thus a read takes `deadlineMs` and `timeoutMs` at the
 * worst. `observe` is called after each read: count there, for Prometheus or another.
 */
export interface Options {
  readonly timeoutMs?: number;
  readonly tries?: number;
  readonly backoffMs?: number;
  readonly backoffCapMs?: number;
  readonly deadlineMs?: number;
  readonly observe?: (read: Observation) => void;
}

/**
 * With the defaults filled in.
 *
 * @throws RequestError: a value out of its range.
 */
export function completed(options: Options): Required<Options> {
  const whole = {
    timeoutMs: 200,
    tries: 3,
    backoffMs: 20,
    backoffCapMs: 200,
    deadlineMs: 500,
    observe: () => {},
    ...options,
  };
  for (const name of ["timeoutMs", "tries", "backoffMs", "backoffCapMs", "deadlineMs"] as const) {
    if (!(whole[name] > 0)) throw new RequestError(`${name} is ${whole[name]}: give more than 0.`);
  }
  return whole;
}

/** Of one read, from its first try on. */
export class Tries {
  #began = performance.now();
  #count = 1;

  constructor(private readonly options: Required<Options>) {}

  /** Waits before the next try; false, at once, where there is none. */
  async another(): Promise<boolean> {
    const { tries, backoffMs, backoffCapMs, deadlineMs } = this.options;
    const longest = Math.min(backoffCapMs, backoffMs * 2 ** (this.#count - 1));
    const pauseMs = Math.random() * longest;
    if (this.#count >= tries || this.#elapsedMs() + pauseMs > deadlineMs) return false;
    this.#count += 1;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    return true;
  }

  /** Tells the observer, with the tries and the time that this read took. */
  report(read: Omit<Observation, "tries" | "ms">): void {
    this.options.observe({ ...read, tries: this.#count, ms: this.#elapsedMs() });
  }

  #elapsedMs(): number {
    return performance.now() - this.#began;
  }
}
