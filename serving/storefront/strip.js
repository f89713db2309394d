/* The strip of recommendations. Cards move to where the new list has them; who stays, stays. */
import { beacon } from "./api.js";
import { card, twins } from "./cards.js";
import { $, make, still } from "./dom.js";
import { arrived } from "./latency.js";
import { showTurn } from "./turn.js";
import { shopper } from "./who.js";

const SHOWN_AFTER_MS = 1000;
/** Above it, a list's version says which model wrote it. */
const GENERATION = 2 ** 40;
const NOTES = {
  own: "From what you looked at and bought.",
  trending: "What many buy this week: there is no list of your own yet. Open a product, and there is.",
  now: "What many bought in the last day: there is no list of your own yet. Open a product, and there is.",
  kept: "What many bought when lists were last kept; your own comes with your next click.",
  none: "There is nothing to recommend yet: the shop has just opened.",
};
const LOST = "Live updates are interrupted; this is the last list. They come back by themselves.";
export const HELD = "The shop takes nothing in right now. What you do is kept in this page, and sent as soon as it does.";
const LATE = " is noted, but no new list has come: the recommender may be stopped.";
const NOTED = { search: "Your search", purchase: "Your purchase", add_to_cart: "Your basket", remove_from_cart: "Your basket" };

let list = null;
let isHeld = false;
let impression = "";
let reporting = 0;
const rows = new Map();

export function clear() {
  list = null;
  rows.clear();
  $("strip").replaceChildren(...Array.from({ length: 8 }, () => make("li", { class: "ghost", "aria-hidden": "true" })));
  $("strip").setAttribute("aria-busy", "true");
  note("Looking for your list …");
}

export function show(next) {
  const before = list;
  if (!next.is_live && before?.source === "own" && next.source !== "own") return lost();
  list = next;
  const events = version(next) - version(before);
  const isOther = before != null && (next.source !== before.source || order(next) !== order(before));
  const isNews = isOther || (before != null && events !== 0);
  if (!before || isNews) place(next.items, isOther);
  if (before && events > 0) arrived(events, isOther);
  note(saidOf(next), next);
  if (!before || isNews) report();
}

/** What the shopper does is not taken in, or is again. */
export function hold(is) {
  isHeld = is;
  if (list) note(saidOf(list), list);
}

function saidOf(shown) {
  if (isHeld) return HELD;
  return shown.is_live ? NOTES[shown.source] ?? NOTES.trending : LOST;
}

export const lost = () => note(LOST, list);
export const late = (name) => note(`${NOTED[name] ?? "Your click"}${LATE} ${list?.source === "own" ? "You see your last list." : "You see what many buy."}`, list);

const version = (of) => (of?.source === "own" ? of.version : 0);
const order = (of) => of.items.map((item) => item.id + item.reason).join();

function note(text, of = null) {
  $("picks-note").textContent = text;
  const events = of?.version % GENERATION;
  $("made-of").textContent = of?.source === "own" ? `Made from ${events} ${events === 1 ? "event" : "events"} by the model “${of.model}”.` : "";
  const section = $("strip").closest("section");
  section.dataset.source = of?.source ?? "";
  section.dataset.version = of?.version ?? "";
}

function place(items, isMoved) {
  const strip = $("strip");
  strip.removeAttribute("aria-busy");
  const focused = document.activeElement;
  const from = new Map([...rows].map(([id, row]) => [id, row.getBoundingClientRect()]));
  const kept = new Map();
  const alike = twins(items);
  for (const item of items) {
    const row = make("li", { data: { item: item.id } }, card(item, { isTwin: alike.has(item.id), onOpen: () => open(item.id) }));
    const old = rows.get(item.id);
    // The same card where it says the same: focus and hover stay on it.
    kept.set(item.id, old?.textContent === row.textContent ? old : row);
  }
  strip.replaceChildren(...kept.values());
  rows.clear();
  for (const [id, row] of kept) rows.set(id, row);
  if (isMoved) strip.scrollTo({ left: 0, behavior: "instant" });
  showTurn();
  if (focused && focused !== document.activeElement && strip.contains(focused)) focused.focus({ preventScroll: true });
  if (!isMoved || still()) return;
  for (const [at, [id, row]] of [...rows].entries()) move(row, from.get(id), at);
}

function move(row, from, at) {
  const to = row.getBoundingClientRect();
  const timing = { duration: 460, delay: Math.min(at, 8) * 24, easing: "cubic-bezier(.2,.9,.25,1)", fill: "backwards" };
  if (!from) {
    row.animate([{ opacity: 0, transform: "translateY(14px) scale(.94)" }, { opacity: 1, transform: "none" }], timing);
  } else if (from.left !== to.left || from.top !== to.top) {
    row.animate([{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: "none" }], timing);
  }
}

function open(id) {
  if (impression) beacon(record("clicked", [{ id, position: [...rows.keys()].indexOf(id) + 1 }]));
}

/* What was truly seen: cards within the strip's window, once it has stood for a moment. */
function report() {
  impression = "";
  clearTimeout(reporting);
  reporting = setTimeout(() => {
    if (!list?.items.length) return;
    const { left, right } = $("strip").getBoundingClientRect();
    const seen = [...rows.values()].map((row, at) => [row.getBoundingClientRect(), row.dataset.item, at + 1])
      .filter(([box]) => box.left + box.width / 2 > left && box.left + box.width / 2 < right)
      .map(([, id, position]) => ({ id, position }));
    if (!seen.length) return;
    impression = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    beacon(record("shown", seen));
  }, SHOWN_AFTER_MS);
}

const record = (kind, items) => ({
  impression_id: impression, user_id: shopper(), kind, placement: "home", items,
  list_version: list.version, model: list.model, timestamp_ms: Date.now(),
  variant: list.variant || null, propensity: items.map(({ position }) => list.propensities[position - 1]),
});
