/* The basket, kept in this browser by shopper; each change is an event. */
import { get, user } from "./api.js";
import { about, price, tile, twins } from "./cards.js";
import { $, icon, make, money, say } from "./dom.js";
import { did, forget } from "./latency.js";
import { discard, send } from "./outbox.js";
import { shopper } from "./who.js";

const BOUGHT = "Thank you! Nothing was charged. What you bought has left your picks, unless you buy it often.";
const ORDERED = "The shop takes no orders right now. Yours is kept in this page, and goes out as soon as it does.";
let lines = new Map();
const key = (id) => `endcap.basket.${id}`;

export async function load(id) {
  lines = new Map();
  draw();
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(key(id))); } catch { /* nothing kept */ }
  if (!kept) {
    const known = await get(`/shop/known/${user(id)}`).catch(() => ({ cart: [] }));
    const products = known.cart.length ? await get(`/shop/products?${known.cart.map((item) => `ids=${user(item)}`).join("&")}`) : [];
    kept = products.map((product) => ({ product, quantity: 1 }));
  }
  if (id !== shopper()) return;
  for (const line of kept) if (!lines.has(line.product.id)) lines.set(line.product.id, line);
  draw();
}

export function drop(id) {
  try { localStorage.removeItem(key(id)); } catch { /* nothing kept */ }
  discard(id);
  lines = new Map();
  draw();
}

export function put(product) {
  const line = lines.get(product.id) ?? { product, quantity: 0 };
  line.quantity += 1;
  lines.set(product.id, line);
  keep();
  if (!$("basket").open) say(`${product.title} is in your basket.`);
  tell("add_to_cart", [{ ...product, quantity: 1 }]);
}

function take(id) {
  const line = lines.get(id);
  if (!line) return;
  line.quantity -= 1;
  if (line.quantity < 1) lines.delete(id);
  keep();
  tell("remove_from_cart", [{ ...line.product, quantity: 1 }]);
  const next = document.querySelector(`#basket [data-line="${CSS.escape(id)}"] button`) ?? $("basket-title");
  next.focus();
}

async function buy() {
  if (!lines.size) return;
  const bought = [...lines.values()].map(({ product, quantity }) => ({ ...product, quantity }));
  const id = shopper();
  $("checkout").disabled = true;
  did("purchase");
  try {
    const isTaken = await send(id, "purchase", bought, { transaction_id: crypto.randomUUID?.() ?? String(Date.now()) });
    if (id !== shopper()) return;
    lines = new Map();
    keep();
    $("basket-note").textContent = isTaken ? BOUGHT : ORDERED;
    $("basket-title").focus();
  } catch (error) {
    forget();
    say(`Your purchase was refused. ${error.message}`, true);
  } finally {
    $("checkout").disabled = !lines.size;
  }
}

function tell(name, items) {
  did(name);
  send(shopper(), name, items).catch((error) => { forget(); say(`The shop refused it. ${error.message}`, true); });
}

function keep() {
  try { localStorage.setItem(key(shopper()), JSON.stringify([...lines.values()])); } catch { /* this page alone */ }
  draw();
}

function draw() {
  const all = [...lines.values()];
  const count = all.reduce((sum, line) => sum + line.quantity, 0);
  $("basket-count").textContent = count;
  $("open-basket").setAttribute("aria-label", `Basket, ${count} ${count === 1 ? "product" : "products"}`);
  $("basket-total").textContent = money(all.reduce((sum, { product, quantity }) => sum + (product.price ?? 0) * quantity, 0));
  $("checkout").disabled = !all.length;
  $("basket-note").textContent = all.length ? "" : "Nothing in it yet. The plus on a product puts it here.";
  const alike = twins(all.map(({ product }) => product));
  $("basket-lines").replaceChildren(...all.map(({ product, quantity }) => make("li", { class: "line", data: { line: product.id } },
    tile(product, 28),
    make("div", { class: "line-words" }, make("a", { href: `#/item/${user(product.id)}`, onclick: () => $("basket").close() }, product.title),
      about(product, alike.has(product.id)) ? make("span", { class: "about" }, about(product, alike.has(product.id))) : null, price(product)),
    make("div", { class: "quantity" },
      make("button", { type: "button", class: "icon-button", "aria-label": `One ${product.title} less`, onclick: () => take(product.id) }, icon("minus", 18)),
      make("span", { "aria-label": `${quantity} of it` }, String(quantity)),
      make("button", { type: "button", class: "icon-button", "aria-label": `One ${product.title} more`, onclick: () => { put(product); refocus(product.id); } }, icon("plus", 18))))));
}

function refocus(id) {
  document.querySelector(`#basket [data-line="${CSS.escape(id)}"] button:last-child`)?.focus();
}

export function openBasket() {
  $("open-basket").addEventListener("click", () => { $("basket").showModal(); });
  $("checkout").addEventListener("click", buy);
}
