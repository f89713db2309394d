/* The storefront: parts that hear of one another here alone. */
import { openAbout, refreshIfOpen } from "./about.js";
import { openAsking } from "./ask.js";
import { load, openBasket } from "./basket.js";
import { $, hush, say } from "./dom.js";
import { forget, taken, whenLate } from "./latency.js";
import { follow } from "./live.js";
import { whenSent } from "./outbox.js";
import { HELD, clear, hold, late, lost, show } from "./strip.js";
import { openTurning } from "./turn.js";
import { openAisles, route } from "./views.js";
import { onShopper, openSwitcher, shopper } from "./who.js";

onShopper((id) => {
  forget();
  clear();
  for (const panel of document.querySelectorAll("dialog[open]")) panel.close();
  load(id);
  follow(id, (list) => { show(list); refreshIfOpen(); }, lost);
});
whenLate(late);
whenSent((isHeld) => {
  if (isHeld) forget();
  say(isHeld ? HELD : "The shop has what you did meanwhile.", isHeld);
  hold(isHeld);
}, taken);

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = $("words").value.trim();
  if (words) location.hash = `#/search/${encodeURIComponent(words)}`;
});
$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
for (const panel of document.querySelectorAll("dialog")) {
  panel.querySelector("[data-close]").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => event.target === panel && panel.close());
}
for (const door of ["open-basket", "open-about"]) $(door).addEventListener("click", hush);
openBasket();
openAbout();
openTurning();
openAsking();
addEventListener("hashchange", () => route());
openAisles();
await Promise.all([openSwitcher(), route(true)]);
document.documentElement.dataset.ready = shopper();
