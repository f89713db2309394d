/** A connection to Redis that is opened when it is needed, and anew after it failed. */

import { setTimeout } from "node:timers/promises";

import { createClient, createCluster } from "redis";

import { asOurs, type ClientError, ListsUnavailableError, ReadRefusedError, RequestError } from "./errors.js";

/** What both of redis' clients can do. */
export interface Redis {
  get(key: string): Promise<string | null>;
  hmGet(key: string, fields: string[]): Promise<(string | null)[]>;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

// Tries again are ours alone: with a strategy of its own, commands would wait for it in a queue.
const SOCKET = { reconnectStrategy: false as const };

/** @throws RequestError: the URL is none. */
export function oneServer(url: string, timeoutMs: number): Connection {
  const { where } = parsed(url);
  const open = () =>
    createClient({ url, socket: { ...SOCKET, connectTimeout: timeoutMs } }) as Redis;
  return new Connection(open, where, timeoutMs);
}

/** @throws RequestError: a URL is none, or there is none. */
export function clusterNodes(urls: readonly string[], timeoutMs: number): Connection {
  const [first, ...others] = urls.map(parsed);
  if (!first) throw new RequestError("No URL: give that of one node of the cluster at least.");
  const { url } = first;
  const socket = { ...SOCKET, connectTimeout: timeoutMs };
  const defaults = {
    ...(url.username && { username: decodeURIComponent(url.username) }),
    ...(url.password && { password: decodeURIComponent(url.password) }),
    socket: url.protocol === "rediss:" ? { ...socket, tls: true as const } : socket,
  };
  // They serve to find the nodes, and nobody else gives up on one that does not answer.
  const rootNodes = urls.map((each) => ({ url: each, socket: { ...socket, socketTimeout: timeoutMs } }));
  const open = () =>
    // Nodes are connected to when one of their keys is read: one that is away stops no others.
    createCluster({ rootNodes, defaults, minimizeConnections: true }) as unknown as Redis;
  const where = [first, ...others].map((each) => each.where).join(", ");
  return new Connection(open, where, timeoutMs);
}

/** How long after a new connection was tried beside the one in use another may be, in ms. */
const RENEW_MS = 1000;

export class Connection {
  #opened: Opened | undefined;
  #next: Opened | undefined;
  #renewedAt = -Infinity;

  constructor(
    private readonly open: () => Redis,
    private readonly where: string,
    private readonly timeoutMs: number,
  ) {}

  /**
   * The answers to several reads, in their order; in place of one that did not come, the error. What
   * is asked in one turn of the event loop goes out together: one round trip to each server.
   *
   * Where none came, the next who asks connects anew. Where some came, a node of a cluster is away:
   * who reads from the others goes on, and a new connection takes the place of this one when it
   * stands.
   */
  async ask<T>(reads: readonly Read<T>[]): Promise<(T | ClientError)[]> {
    this.#opened ??= connected(this.open());
    const opened = this.#opened;
    const inTime = timer(this.timeoutMs);
    opened.readers += 1;
    try {
      await inTime.limit(opened.ready);
      const answers = await Promise.allSettled(reads.map((read) => inTime.limit(read(opened.redis))));
      const ours = answers.map((answer) =>
        answer.status === "fulfilled" ? answer.value : asOurs(answer.reason, this.where),
      );
      const away = ours.filter((answer) => answer instanceof ListsUnavailableError).length;
      if (away === ours.length) this.#drop(opened);
      else if (away > 0) this.#renew(opened);
      return ours;
    } catch (error) {
      this.#drop(opened);
      // A cluster says that it met no node; why it did not is in what a node said before.
      const why = asOurs(opened.said() ?? error, this.where);
      const ours = why instanceof ReadRefusedError ? why : asOurs(error, this.where);
      return reads.map(() => ours);
    } finally {
      inTime.stop();
      opened.readers -= 1;
      if (opened.isRetired) retire(opened);
    }
  }

  /** As `ask`, by the new connection if there is soon to be one. */
  async askAgain<T>(reads: readonly Read<T>[]): Promise<(T | ClientError)[]> {
    const next = this.#next?.ready.catch(() => {});
    if (next) await Promise.race([next, setTimeout(this.timeoutMs / 2, undefined, { ref: false })]);
    return this.ask(reads);
  }

  close(): void {
    for (const opened of [this.#opened, this.#next]) if (opened) destroy(opened.redis);
    this.#opened = this.#next = undefined;
  }

  #drop(opened: Opened): void {
    if (this.#opened === opened) this.#opened = undefined;
    retire(opened);
  }

  #renew(opened: Opened): void {
    const now = performance.now();
    if (this.#opened !== opened || this.#next || now < this.#renewedAt + RENEW_MS) return;
    this.#renewedAt = now;
    const next = connected(this.open());
    this.#next = next;
    const settle = (isThere: boolean) => {
      const isWanted = isThere && this.#next === next && this.#opened === opened;
      if (this.#next === next) this.#next = undefined;
      if (isWanted) this.#opened = next;
      retire(isWanted ? opened : next);
    };
    next.ready.then(
      () => settle(true),
      () => settle(false),
    );
  }
}

/** One command, to whichever client is connected. */
export type Read<T> = (redis: Redis) => Promise<T>;

/** A client, when it is connected, its last error, and how many wait for it. */
interface Opened {
  readonly redis: Redis;
  readonly ready: Promise<unknown>;
  readonly said: () => unknown;
  readers: number;
  isRetired: boolean;
}

/** Closes it as soon as nobody waits for its answers. */
function retire(opened: Opened): void {
  opened.isRetired = true;
  if (opened.readers <= 0) destroy(opened.redis);
}

function connected(redis: Redis): Opened {
  let last: unknown;
  redis.on("error", (error) => {
    last = error; // whoever reads is told
  });
  const ready = redis.connect();
  ready.catch(() => {}); // and who comes too late to read
  return { redis, ready, said: () => last, readers: 0, isRetired: false };
}

function destroy(redis: Redis): void {
  try {
    redis.destroy();
  } catch {
    // It was closed already.
  }
}

/** One timer for all promises of a try. */
function timer(ms: number) {
  let stop = () => {};
  const late = new Promise<never>((_, reject) => {
    const id = globalThis.setTimeout(() => reject(new Error(`nothing came within ${ms} ms`)), ms);
    stop = () => clearTimeout(id);
  });
  late.catch(() => {});
  return { limit: <T>(promise: Promise<T>) => Promise.race([promise, late]), stop };
}

function parsed(text: string): { url: URL; where: string } {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new RequestError("The URL of Redis is none: write redis://host:6379/0, or rediss://.");
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw new RequestError(
      `A URL of Redis begins with redis:// or rediss://, not with ${url.protocol}`,
    );
  }
  return { url, where: `${url.host}${url.pathname}` };
}
