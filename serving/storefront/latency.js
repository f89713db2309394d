/* From a click to the list that knows of it: the last value, the median, and a sparkline. */
import { $ } from "./dom.js";

const KEPT = 24;
const LATE_MS = 4000;
let waiting = [];
let values = [];
let late = 0;
let onLate = () => {};

export const whenLate = (hear) => { onLate = hear; };

/** A click was made now. */
export function clicked(at = performance.now()) {
  waiting.push(at);
}

/** The shop has it: a list is to be expected. */
export function taken() {
  clearTimeout(late);
  late = setTimeout(() => waiting.length && onLate(), LATE_MS);
}

/** A list came that knows of so many events more. Its time, or null where nobody waited. */
export function arrived(events) {
  const answered = waiting.splice(0, Math.max(0, events));
  if (!waiting.length) clearTimeout(late);
  if (!answered.length) return null;
  const now = performance.now();
  for (const at of answered) values.push(now - at);
  values = values.slice(-KEPT);
  draw();
  return values.at(-1);
}

export function forget() {
  waiting = [];
  clearTimeout(late);
}

function draw() {
  const last = values.at(-1);
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  $("latency").textContent = `${Math.round(last)} ms`;
  $("latency-note").textContent = values.length > 1 ? `median ${Math.round(middle)} ms of ${values.length}` : "the first click";
  const top = Math.max(...values, 1);
  const step = 92 / Math.max(1, values.length - 1);
  const points = values.map((value, at) => [2 + at * step, 25 - (22 * value) / top]);
  const line = $("sparkline").querySelector("polyline");
  line.setAttribute("points", points.map((point) => point.map((n) => n.toFixed(1)).join()).join(" "));
  const dot = $("sparkline").querySelector("circle");
  dot.setAttribute("r", 2.5);
  dot.setAttribute("cx", points.at(-1)[0]);
  dot.setAttribute("cy", points.at(-1)[1]);
}
