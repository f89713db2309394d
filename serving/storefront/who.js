/* Who is shopping. A real shop has a login in this place (docs/storefront.md). */
import { get } from "./api.js";
import { $, make } from "./dom.js";

const KEY = "endcap.shopper";
const NEW = "\u0000new";
const listeners = [];
let current = "";

export const shopper = () => current;
export const onShopper = (hear) => listeners.push(hear);

export function newVisitor() {
  become(`visitor-${(crypto.randomUUID?.() ?? String(Math.random())).slice(-8)}`);
}

function become(id) {
  current = id;
  try { localStorage.setItem(KEY, id); } catch { /* a browser that keeps nothing is fine */ }
  const url = new URL(location.href);
  url.searchParams.set("shopper", id);
  history.replaceState(history.state, "", url);
  const select = $("shopper");
  if (![...select.options].some((option) => option.value === id)) {
    select.querySelector("#visitors").append(make("option", { value: id }, named(id)));
  }
  select.value = id;
  for (const hear of listeners) hear(id);
}

const named = (id) => (/^\d+$/.test(id) ? `Household ${id}` : id.startsWith("visitor-") ? `New visitor ${id.slice(-4)}` : id);

export async function openSwitcher() {
  const select = $("shopper");
  const households = make("optgroup", { label: "Households that shop here" });
  const visitors = make("optgroup", { label: "Visitors", id: "visitors" });
  visitors.append(make("option", { value: NEW }, "Another new visitor"));
  select.replaceChildren(visitors);
  select.addEventListener("change", () => (select.value === NEW ? newVisitor() : become(select.value)));
  let before = null;
  try { before = localStorage.getItem(KEY); } catch { /* as above */ }
  const wanted = new URLSearchParams(location.search).get("shopper") || before;
  // Whose list is shown before the others are known.
  if (wanted) become(wanted);
  else newVisitor();
  let known = [];
  try { known = await get("/shop/shoppers"); } catch { /* Redis is away: visitors shop all the same */ }
  const numbered = known.filter(({ id }) => /^\d+$/.test(id));
  for (const { id, events } of numbered) {
    [...visitors.children].find((option) => option.value === id)?.remove();
    households.append(make("option", { value: id }, `${named(id)} · ${events} ${events === 1 ? "event" : "events"}`));
  }
  if (numbered.length) select.append(households);
  select.value = current;
}
