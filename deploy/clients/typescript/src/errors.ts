/** What a read may raise. No error of the Redis client leaves this package. */

import { ErrorReply } from "redis";

const NOT_YET = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|ASK|MOVED|ERR max number of clients)/;

/** All of them. */
export class ClientError extends Error {
  override readonly name: string = "ClientError";
}

/** What was asked cannot be: an empty id, a size below 1, a URL that is none. */
export class RequestError extends ClientError {
  override readonly name = "RequestError";
}

/** Redis did not answer in time, tries again included. Asking later may help. */
export class ListsUnavailableError extends ClientError {
  override readonly name = "ListsUnavailableError";
}

/** Redis answers, and does not let this user read: a password or an ACL. */
export class ReadRefusedError extends ClientError {
  override readonly name = "ReadRefusedError";
}

/** A key of the contract holds something else than the contract says. */
export class UnreadableValueError extends ClientError {
  override readonly name = "UnreadableValueError";
}

/** The same error in our words; `where`: the server, without a password. */
export function asOurs(error: unknown, where: string): ClientError {
  if (error instanceof ClientError) return error;
  const said = error instanceof Error ? error.message : String(error);
  if (/^(NOAUTH|NOPERM|WRONGPASS|ERR invalid password)/.test(said)) {
    return new ReadRefusedError(
      `Redis at ${where} does not let this user read (${said}). Check user and password in the ` +
        "URL, and the ACL of a reader in docs/redis.md.",
    );
  }
  if (said.startsWith("WRONGTYPE")) {
    return new UnreadableValueError(
      `A key of the contract at ${where} holds another type (${said}). Only endcap may write ` +
        "there: see docs/redis.md.",
    );
  }
  if (error instanceof ErrorReply && !NOT_YET.test(said)) {
    return new ReadRefusedError(
      `Redis at ${where} refused a read: ${said}. It has to be Redis 6.2 or later, or Valkey.`,
    );
  }
  const kind = error instanceof Error ? error.constructor.name : "Error";
  return new ListsUnavailableError(
    `Redis at ${where} did not answer (${kind}: ${said}). Check the address and that it runs; ` +
      "timeoutMs, tries and deadlineMs say how long to wait.",
  );
}
