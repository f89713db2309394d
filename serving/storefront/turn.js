/* Leafing through the strip by whole windows; it scrolls by itself too. */
import { $, still } from "./dom.js";

const cards = () => [...$("strip").querySelectorAll("li[data-item]")];

/** Places, from 0, of the first and the last card that is seen as a whole. */
function seen() {
  const strip = $("strip");
  // Where they come to stand: on their way they are anywhere.
  const left = strip.offsetLeft + strip.scrollLeft;
  const whole = cards().map((card) => card.offsetLeft > left - 2 && card.offsetLeft + card.offsetWidth < left + strip.clientWidth + 2);
  return [whole.indexOf(true), whole.lastIndexOf(true)];
}

export function showTurn() {
  const count = cards().length;
  const [first, last] = seen();
  const isAll = first <= 0 && last === count - 1;
  $("turn-note").textContent = count && first >= 0 ? `${first + 1}–${last + 1} of ${count}` : "";
  $("turn-back").disabled = first <= 0;
  $("turn-on").disabled = last < 0 || last === count - 1;
  $("turn-on").parentElement.hidden = !count || isAll;
}

function turn(windows) {
  const [first, last] = seen();
  const to = Math.min(Math.max(first + windows * (last - first + 1), 0), cards().length - 1);
  const strip = $("strip");
  const at = cards()[to].offsetLeft - cards()[0].offsetLeft;
  strip.scrollTo({ left: at, behavior: still() ? "instant" : "smooth" });
}

export function openTurning() {
  $("turn-back").addEventListener("click", () => turn(-1));
  $("turn-on").addEventListener("click", () => turn(1));
  $("strip").addEventListener("scroll", () => requestAnimationFrame(showTurn), { passive: true });
  new ResizeObserver(showTurn).observe($("strip"));
}
