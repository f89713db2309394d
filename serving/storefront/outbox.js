/* What the shopper did, on its way to the shop: in order, and kept in this page until the shop has it. */
import { post } from "./api.js";

const KEY = "endcap.outbox";
const MOST_AT_ONCE = 100;
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 5000;
let waiting = kept();
let isHeld = false;
let sending = null;
let onHeld = () => {};
let onTaken = () => {};
const outcomes = new Map();

/** `held` is told true when the shop takes nothing in, and false when it does again; `taken`, that it has something. */
export function whenSent(held, taken) {
  onHeld = held;
  onTaken = taken;
  if (waiting.length) pump(); // what a reload has left here
}

/** An event, as docs/events.md has it. True: the shop has it; false: it is kept, and sent when the shop takes it. */
export function send(userId, name, items, more = {}) {
  const event = {
    event_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
    user_id: userId,
    event_name: name,
    timestamp_ms: Date.now(),
    items: items.map(({ id, price, quantity }) => ({
      item_id: id,
      ...(price == null ? {} : { price }),
      ...(quantity ? { quantity } : {}),
    })),
    ...more,
  };
  return new Promise((resolve, reject) => {
    waiting.push(event);
    keep();
    if (isHeld) resolve(false);
    else outcomes.set(event.event_id, { resolve, reject });
    pump();
  });
}

/** Nothing of a shopper who is to be forgotten is sent any more. */
export function discard(userId) {
  waiting = waiting.filter((event) => event.user_id !== userId);
  keep();
}

function pump() {
  sending ??= sendAll().finally(() => { sending = null; if (waiting.length) pump(); });
}

/* Its id makes a repeat harmless: of what was not answered nobody knows whether it arrived. */
async function sendAll() {
  let pause = FIRST_PAUSE_MS;
  let most = MOST_AT_ONCE;
  while (waiting.length) {
    const batch = waiting.slice(0, most);
    try {
      await post("/v1/events", batch);
      settle(batch, ({ resolve }) => resolve(true));
      hold(false);
      onTaken();
      pause = FIRST_PAUSE_MS;
    } catch (error) {
      const isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
      if (!isRefused) {
        hold(true);
        for (const { resolve } of outcomes.values()) resolve(false);
        outcomes.clear();
        await new Promise((done) => setTimeout(done, pause));
        pause = Math.min(2 * pause, LAST_PAUSE_MS);
      } else if (batch.length > 1) {
        most = 1; // a wrong one is refused alone
      } else {
        settle(batch, ({ reject }) => reject(error));
      }
    }
  }
}

function settle(batch, how) {
  const sent = new Set(batch.map((event) => event.event_id));
  waiting = waiting.filter((event) => !sent.has(event.event_id));
  keep();
  for (const id of sent) {
    const outcome = outcomes.get(id);
    outcomes.delete(id);
    if (outcome) how(outcome);
  }
}

function hold(is) {
  if (is === isHeld) return;
  isHeld = is;
  onHeld(is);
}

function kept() {
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? []; } catch { return []; }
}

function keep() {
  try { sessionStorage.setItem(KEY, JSON.stringify(waiting)); } catch { /* until this page is left */ }
}
