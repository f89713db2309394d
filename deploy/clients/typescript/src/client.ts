/** The client. */

import { type Answer, nothing } from "./answers.js";
import { checkId, links, type Look, look } from "./chain.js";
import { clusterNodes, type Connection, oneServer, type Redis } from "./connection.js";
import { decodeItem, ITEM_FIELDS, type Item, itemKey } from "./contract.js";
import { ClientError, ListsUnavailableError, RequestError } from "./errors.js";
import { completed, type Options, Tries } from "./options.js";

/** Where a shopper is, as far as it is known; `size`: how many items at most, 20 if not said. */
export interface Where {
  readonly lastItem?: string | null | undefined;
  readonly category?: string | null | undefined;
  readonly size?: number | undefined;
}

/** Reads lists; share one in a process. Nothing connects before it reads. */
export class Client {
  private constructor(
    private readonly connection: Connection,
    private readonly options: Required<Options>,
  ) {}

  /**
   * One server.
   *
   * @throws RequestError: the URL is none, or an option is out of its range.
   */
  static connect(url: string, options: Options = {}): Client {
    const whole = completed(options);
    return new Client(oneServer(url, whole.timeoutMs), whole);
  }

  /**
   * A Redis Cluster, met at one of these nodes; user and password are those of the first.
   *
   * @throws RequestError: a URL is none, or an option is out of its range.
   */
  static connectToCluster(urls: readonly string[], options: Options = {}): Client {
    const whole = completed(options);
    return new Client(clusterNodes(urls, whole.timeoutMs), whole);
  }

  /**
   * The shopper's own list; else what goes with the last item, what trends in the category, what
   * trends. One round trip; on a cluster one to each node that holds a key, side by side. Where a
   * better list cannot be read, a lesser one is given, with the `problem`.
   *
   * @throws RequestError: the arguments cannot be.
   * @throws ListsUnavailableError: no answer, tries again included, and nothing to show.
   * @throws ReadRefusedError: Redis refused, and there is nothing to show.
   * @throws UnreadableValueError: there is nothing to show but what is no list.
   */
  async recommend(user?: string | null, where: Where = {}): Promise<Answer> {
    const { answer, problem } = await this.#look(user, where);
    if (problem && answer.source === "none") throw problem;
    return answer;
  }

  /** As `recommend`; where that throws, no items, `none` as source, and the `problem`. */
  async recommendOrNothing(user?: string | null, where: Where = {}): Promise<Answer> {
    try {
      return (await this.#look(user, where)).answer;
    } catch (error) {
      if (error instanceof RequestError) return nothing(error.message);
      throw error;
    }
  }

  /**
   * Titles, prices and so on by id, in one round trip; unknown ids are left out.
   *
   * @throws ClientError: something could not be read; see `recommend`.
   */
  async items(ids: readonly string[]): Promise<Map<string, Item>> {
    const { items, problem } = await this.#items(ids);
    if (problem) throw problem;
    return items;
  }

  /** As `items`, without what could not be read. */
  async itemsOrNothing(ids: readonly string[]): Promise<Map<string, Item>> {
    try {
      return (await this.#items(ids)).items;
    } catch (error) {
      if (error instanceof RequestError) return new Map();
      throw error;
    }
  }

  /** Gives the connection back; a later read opens another. */
  close(): void {
    this.connection.close();
  }

  async #look(user: string | null | undefined, where: Where): Promise<Look> {
    const size = where.size ?? 20;
    const wanted = links(user, where.lastItem, where.category, size);
    const reads = wanted.map(({ key }) => (redis: Redis) => redis.get(key));
    const tries = new Tries(this.options);
    let found = look(wanted, await this.connection.ask(reads), size);
    while (!found.isSettled && (await tries.another())) {
      const again = look(wanted, await this.connection.askAgain(reads), size);
      // What a try has found is not lost by one that finds less.
      if (again.answer.source !== "none" || found.answer.source === "none") found = again;
    }
    tries.report({ what: "list", source: found.answer.source, error: found.problem?.name ?? "" });
    return found;
  }

  async #items(ids: readonly string[]): Promise<Facts> {
    for (const id of ids) checkId("an item id", id);
    if (ids.length === 0) return { items: new Map(), problem: undefined };
    const reads = ids.map((id) => (redis: Redis) => redis.hmGet(itemKey(id), ITEM_FIELDS));
    const tries = new Tries(this.options);
    let found = facts(ids, await this.connection.ask(reads));
    while (found.problem instanceof ListsUnavailableError && (await tries.another())) {
      const again = facts(ids, await this.connection.askAgain(reads));
      if (again.items.size >= found.items.size) found = again;
    }
    tries.report({ what: "items", source: "", error: found.problem?.name ?? "" });
    return found;
  }
}

type Row = (string | null)[];

interface Facts {
  readonly items: Map<string, Item>;
  readonly problem: ClientError | undefined;
}

function facts(ids: readonly string[], rows: readonly (Row | ClientError)[]): Facts {
  const items = new Map<string, Item>();
  let problem: ClientError | undefined;
  for (const [place, id] of ids.entries()) {
    try {
      const row = rows[place];
      if (row instanceof ClientError) throw row;
      const item = decodeItem(id, row ?? []);
      if (item) items.set(id, item);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      problem ??= error;
    }
  }
  return { items, problem };
}
