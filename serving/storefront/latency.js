/* From what a shopper did to the list that knows of it: the last value, the median, and a sparkline. */
import { $ } from "./dom.js";

const KEPT = 24;
const LATE_MS = 4000;
const FROM = {
  view_item: "From your click", search: "From your search", purchase: "From your purchase",
  add_to_cart: "From putting it into the basket", remove_from_cart: "From taking it out of the basket",
};
let waiting = [];
let values = [];
let late = 0;
let onLate = () => {};

export const whenLate = (hear) => { onLate = hear; };

/** Something was done now. `name`: the event that tells of it. */
export function did(name, at = performance.now()) {
  waiting.push({ name, at });
}

/** The shop has it: a list is to be expected. */
export function taken() {
  clearTimeout(late);
  late = setTimeout(() => waiting.length && onLate(waiting.at(-1).name), LATE_MS);
}

/** A list came that knows of so many events more; `isOther`: other picks, or in another order. */
export function arrived(events, isOther) {
  const answered = waiting.splice(0, Math.max(0, events));
  if (!waiting.length) clearTimeout(late);
  if (!answered.length) return;
  const now = performance.now();
  values = [...values, ...answered.map(({ at }) => now - at)].slice(-KEPT);
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  $("latency-what").textContent = `${FROM[answered.at(-1).name]} to the new list:`;
  $("latency").textContent = `${Math.round(values.at(-1))} ms`;
  const usual = values.length > 2 ? `Half of ${values.length} came within ${Math.round(middle)} ms.` : "";
  $("latency-note").textContent = [isOther ? "" : "The same picks as before.", usual].filter(Boolean).join(" ");
  draw();
}

export function forget() {
  waiting = [];
  clearTimeout(late);
}

function draw() {
  const top = Math.max(...values, 1);
  const step = 92 / Math.max(1, values.length - 1);
  const points = values.map((value, at) => [2 + at * step, 25 - (22 * value) / top]);
  const line = $("sparkline").querySelector("polyline");
  line.setAttribute("points", points.map((point) => point.map((n) => n.toFixed(1)).join()).join(" "));
  const dot = $("sparkline").querySelector("circle");
  dot.setAttribute("r", 2.5);
  dot.setAttribute("cx", points.at(-1)[0]);
  dot.setAttribute("cy", points.at(-1)[1]);
  $("sparkline").toggleAttribute("hidden", values.length < 3);
}
