/* What stands below the strip: the entrance, a category, a product, what a search has found. */
import { get, user } from "./api.js";
import { put } from "./basket.js";
import { about, card, hue, picture, price, reduction, tile, twins } from "./cards.js";
import { $, icon, make, say, soft } from "./dom.js";
import { did, forget } from "./latency.js";
import { send } from "./outbox.js";
import { shopper } from "./who.js";

const ASKED = ["I bought milk, eggs and bananas.", "Something for a birthday cake", "I bought a laptop, a mouse, and a keyboard.", "frozen pizza"];
const POPULAR = 12;
const CLOSE = 0.75;
const FIRST_CATEGORIES = 12;
let shownFor = 0;
let departments = [];
let opened = null;

const isNarrow = () => matchMedia("(max-width: 47.99rem)").matches;

export const openAisles = () => (opened ??= fillAisles());

async function fillAisles() {
  try {
    departments = await get("/shop/departments");
  } catch (error) {
    say(`The departments cannot be shown. ${error.message}`, true);
  }
  $("aisles").replaceChildren(...departments.map((department) => make("details", { class: "department", name: "department" },
    make("summary", {}, department.name, " ", make("small", {}, String(department.products))),
    ...shelves(department.categories))));
  if (isNarrow()) $("aisles-toggle").open = false;
  mark();
}

/* A long department shows its largest categories, and the others when it is asked. */
function shelves(categories) {
  const isLong = categories.length > FIRST_CATEGORIES + 3;
  const list = (some) => make("ul", {}, ...some.map((category) => make("li", {},
    make("a", { href: categoryLink(category.name), data: { category: category.name } }, make("span", {}, soft(category.shelf)), " ", make("small", {}, String(category.products))))));
  if (!isLong) return [list(categories)];
  const rest = categories.slice(FIRST_CATEGORIES);
  return [list(categories.slice(0, FIRST_CATEGORIES)), make("details", { class: "rest" }, make("summary", {}, `${rest.length} more categories`), list(rest))];
}

const categoryLink = (name, page = 1) => `#/category/${user(name)}${page > 1 ? `/${page}` : ""}`;
const searchLink = (words, page = 1) => `#/search/${user(words)}${page > 1 ? `/${page}` : ""}`;

/** Show what the address names. The heading takes the focus, so that a reader hears where it is. */
export async function route(isFirst = false) {
  const mine = ++shownFor;
  const [, where = "", what = "", page = "1"] = location.hash.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const views = { item: () => product(what), category: () => category(what, Number(page) || 1), search: () => found(what, Number(page) || 1) };
  mark();
  if (where === "search") $("words").value = what;
  $("main").setAttribute("aria-busy", "true");
  let children;
  try {
    children = await (views[where] ?? entrance)();
  } catch (error) {
    children = [title("This cannot be shown now"), make("p", {}, error.message)];
  }
  if (mine !== shownFor) return;
  $("main").replaceChildren(...children.flat().filter(Boolean));
  $("main").removeAttribute("aria-busy");
  const heading = $("main").querySelector("h1");
  document.title = where ? `${heading.textContent} – endcap market` : "endcap market";
  if (!isFirst) {
    heading.focus({ preventScroll: true });
    // On a phone the picks fill the window: what was asked for would stand below it.
    window.scrollTo({ top: isNarrow() && where ? $("main").getBoundingClientRect().top + scrollY - 16 : 0 });
  }
}

const title = (text) => make("h1", { tabindex: "-1" }, text);

function grid(products, heading = "h2") {
  const alike = twins(products);
  return make("ul", { class: "grid" }, ...products.map((each) => make("li", {}, card(each, { heading, isTwin: alike.has(each.id) }))));
}

const products = async (ids) => (ids.length ? get(`/shop/products?${ids.map((id) => `ids=${user(id)}`).join("&")}`) : []);

async function similarTo(id) {
  const { source, items } = await get(`/v1/similar/${user(id)}`).catch(() => ({ source: "", items: [] }));
  return { source, items: await products(items.slice(0, POPULAR).map((item) => item.id)).catch(() => []) };
}

/* The last day's, and the week's where that is few. */
async function popularIds() {
  const lists = await Promise.all(["?now=true", ""].map((which) => get(`/v1/trending${which}`).catch(() => ({ items: [] }))));
  return [...new Set(lists.flatMap((list) => list.items.map((item) => item.id)))].slice(0, POPULAR);
}

async function entrance() {
  const [ids] = await Promise.all([popularIds(), openAisles()]);
  const popular = await products(ids);
  const largest = departments.flatMap((department) => department.categories.map((category) => ({ ...category, department: department.name })))
    .sort((a, b) => b.products - a.products).slice(0, 12);
  return [
    title("What would you like?"),
    make("p", { class: "asked" }, make("span", {}, "Try a sentence: "), ...ASKED.map((words) => make("a", { href: searchLink(words) }, words))),
    make("ul", { class: "doors-in" }, ...largest.map((category) => {
      const door = make("a", { href: categoryLink(category.name) }, icon(picture(category), 30),
        make("span", {}, soft(category.shelf)), make("small", {}, `${category.products} products`));
      door.style.setProperty("--hue", hue(category.name));
      return make("li", {}, door);
    })),
    popular.length ? make("h2", { class: "part" }, "What many buy now") : null,
    popular.length ? grid(popular, "h3") : null,
  ];
}

async function category(name, page) {
  const shown = await get(`/shop/category?name=${user(name)}&page=${page}`);
  return [title(shown.products[0]?.shelf ?? name), make("p", { class: "count" }, `${shown.total} products`), grid(shown.products), pager(shown, (to) => categoryLink(name, to))];
}

async function product(id) {
  did("view_item", clickedAt);
  send(shopper(), "view_item", [{ id }]).catch((error) => { forget(); say(`The shop refused your click. ${error.message}`, true); });
  const [[shown], similar] = await Promise.all([products([id]), similarTo(id)]);
  if (!shown) return [title("Not in this shop"), make("p", {}, "The shop has no such product any more.")];
  const heading = similar.source === "similar" ? "Often bought together" : `Popular${similar.source === "category" ? ` in ${shown.shelf}` : ""}`;
  return [
    make("article", { class: "product" },
      tile(shown, 120),
      make("div", { class: "product-words" },
        make("a", { class: "category", href: categoryLink(shown.category) }, soft(shown.shelf)),
        title(shown.title),
        make("p", { class: "product-price" }, price(shown), reduction(shown)),
        shown.in_stock
          ? make("button", { type: "button", class: "solid", id: "put", onclick: () => put(shown) }, icon("basket", 20), make("span", {}, "Put into the basket"))
          : make("p", { class: "soldout" }, "Sold out"),
        make("p", { class: "small" }, [shown.department, about(shown, true)].filter(Boolean).join(" · ")))),
    similar.items.length ? make("h2", { class: "part" }, heading) : null,
    similar.items.length ? grid(similar.items, "h3") : null,
  ];
}

/* The clock starts at the click itself, not at what follows from it. */
let clickedAt;
document.addEventListener("click", () => { clickedAt = performance.now(); setTimeout(() => { clickedAt = undefined; }, 500); }, true);

async function found(words, page) {
  const shown = await get(`/shop/search?q=${user(words)}&page=${page}`);
  if (page === 1) { did("search", clickedAt); send(shopper(), "search", [], { search_term: words.slice(0, 256) }).catch(() => forget()); }
  if (shown.kind === "titles") {
    return [title(`“${words}”`), make("p", { class: "count" }, `${shown.titles.total} products`), grid(shown.titles.products), pager(shown.titles, (to) => searchLink(words, to))];
  }
  const nothing = shown.nothing_like.length
    ? make("p", { class: "nothing" }, `The catalogue has nothing like ${shown.nothing_like.map((phrase) => `“${phrase}”`).join(", ")}.`) : null;
  if (!shown.understood.length) {
    return [title(`“${words}”`), nothing ?? make("p", { class: "nothing" }, shown.note || "The sentence names no product. Say what you bought, or what you need: milk, a dozen eggs.")];
  }
  return [
    title(`“${words}”`),
    make("section", { class: "understood", "aria-label": "What was understood" },
      make("h2", { class: "part" }, "Understood"),
      ...shown.understood.map((each) => make("div", { class: "phrase" },
        make("h3", {}, make("span", { class: "chip" }, each.phrase), make("small", {}, each.similarity >= CLOSE ? " a close match" : " the nearest that there is")),
        grid(each.products, "h4"))),
      nothing),
    make("h2", { class: "part" }, "Goes with it"),
    shown.recommended.length ? grid(shown.recommended, "h3") : make("p", {}, shown.note),
  ];
}

function pager(shown, link) {
  if (shown.pages < 2) return null;
  const to = (page, text) => page >= 1 && page <= shown.pages ? make("a", { class: "quiet", href: link(page) }, text) : make("span", {});
  return make("nav", { class: "pager", "aria-label": "Pages" }, to(shown.page - 1, "← Before"), make("span", {}, `Page ${shown.page} of ${shown.pages}`), to(shown.page + 1, "Next →"));
}

function mark() {
  const [, where, what] = location.hash.split("/");
  for (const link of $("aisles").querySelectorAll("a[data-category]")) {
    const isHere = where === "category" && user(link.dataset.category) === what;
    if (isHere) { link.setAttribute("aria-current", "page"); for (let within = link.closest("details"); within && within.id !== "aisles-toggle"; within = within.parentElement.closest("details")) within.open = true; } else link.removeAttribute("aria-current");
  }
}
