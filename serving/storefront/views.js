/* What stands below the strip: the entrance, a category, a product, what a search has found. */
import { get, user } from "./api.js";
import { put } from "./basket.js";
import { card, hue, picture, price, reduction, tile } from "./cards.js";
import { $, icon, make, say, soft } from "./dom.js";
import { clicked, forget } from "./latency.js";
import { send } from "./outbox.js";
import { shopper } from "./who.js";

const ASKED = ["I bought milk, eggs and bananas.", "Something for a birthday cake", "I bought a laptop, a mouse, and a keyboard.", "frozen pizza"];
let shownFor = 0;
let departments = [];
let opened = null;

export const openAisles = () => (opened ??= fillAisles());

async function fillAisles() {
  try {
    departments = await get("/shop/departments");
  } catch (error) {
    say(`The departments cannot be shown. ${error.message}`, true);
  }
  $("aisles").replaceChildren(...departments.map((department) => make("details", { class: "department", name: "department" },
    make("summary", {}, department.name, " ", make("small", {}, String(department.products))),
    make("ul", {}, ...department.categories.map((category) => make("li", {},
      make("a", { href: categoryLink(category.name), data: { category: category.name } }, make("span", {}, soft(category.name)), " ", make("small", {}, String(category.products)))))))));
  if (matchMedia("(max-width: 47.99rem)").matches) $("aisles-toggle").open = false;
  mark();
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
    window.scrollTo({ top: 0 });
  }
}

const title = (text) => make("h1", { tabindex: "-1" }, text);
const grid = (products, heading = "h2") => make("ul", { class: "grid" }, ...products.map((each) => make("li", {}, card(each, { heading }))));

async function entrance() {
  const [trending] = await Promise.all([get("/v1/trending?now=true").catch(() => ({ items: [] })), openAisles()]);
  const ids = trending.items.map((item) => item.id).slice(0, 12);
  const popular = ids.length ? await get(`/shop/products?${ids.map((id) => `ids=${user(id)}`).join("&")}`) : [];
  const largest = departments.flatMap((department) => department.categories.map((category) => ({ ...category, department: department.name })))
    .sort((a, b) => b.products - a.products).slice(0, 10);
  return [
    title("What would you like?"),
    make("p", { class: "asked" }, make("span", {}, "Try a sentence: "), ...ASKED.map((words) => make("a", { href: searchLink(words) }, words))),
    make("ul", { class: "doors-in" }, ...largest.map((category) => {
      const door = make("a", { href: categoryLink(category.name) }, icon(picture({ category: category.name, department: category.department }), 30),
        make("span", {}, soft(category.name)), make("small", {}, `${category.products} products`));
      door.style.setProperty("--hue", hue(category.name));
      return make("li", {}, door);
    })),
    popular.length ? make("h2", { class: "part" }, "What many buy now") : null,
    popular.length ? grid(popular, "h3") : null,
  ];
}

async function category(name, page) {
  const shown = await get(`/shop/category?name=${user(name)}&page=${page}`);
  return [title(name), make("p", { class: "count" }, `${shown.total} products`), grid(shown.products), pager(shown, (to) => categoryLink(name, to))];
}

async function product(id) {
  clicked(clickedAt);
  send(shopper(), "view_item", [{ id }]).catch((error) => { forget(); say(`The shop refused your click. ${error.message}`, true); });
  const [[shown], similar] = await Promise.all([get(`/shop/products?ids=${user(id)}`), get(`/v1/similar/${user(id)}`).catch(() => ({ items: [], source: "" }))]);
  if (!shown) return [title("Not in this shop"), make("p", {}, "The shop has no such product any more.")];
  const heading = similar.source === "similar" ? "Often bought together" : `Popular${similar.source === "category" ? ` in ${shown.category}` : ""}`;
  return [
    make("article", { class: "product" },
      tile(shown, 120),
      make("div", { class: "product-words" },
        make("a", { class: "category", href: categoryLink(shown.category) }, shown.category),
        title(shown.title),
        make("p", { class: "product-price" }, price(shown), reduction(shown)),
        shown.in_stock
          ? make("button", { type: "button", class: "solid", id: "put", onclick: () => put(shown) }, icon("basket", 20), make("span", {}, "Put into the basket"))
          : make("p", { class: "soldout" }, "Sold out"),
        make("p", { class: "small" }, `${shown.department}, article ${shown.id}`))),
    similar.items.length ? make("h2", { class: "part" }, heading) : null,
    similar.items.length ? grid(similar.items.slice(0, 8).map((item) => ({ ...item, reason: "" })), "h3") : null,
  ];
}

/* The clock starts at the click itself, not at what follows from it. */
let clickedAt;
document.addEventListener("click", () => { clickedAt = performance.now(); setTimeout(() => { clickedAt = undefined; }, 500); }, true);

async function found(words, page) {
  const shown = await get(`/shop/search?q=${user(words)}&page=${page}`);
  if (page === 1) { clicked(clickedAt); send(shopper(), "search", [], { search_term: words.slice(0, 256) }).catch(() => forget()); }
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
        make("h3", {}, make("span", { class: "chip" }, each.phrase), make("small", {}, ` ${Math.round(100 * each.similarity)} % alike`)),
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
    if (isHere) { link.setAttribute("aria-current", "page"); link.closest("details").open = true; } else link.removeAttribute("aria-current");
  }
}
