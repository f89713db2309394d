/* A product on a card. */
import { icon, make, money, sentence, soft, unbroken } from "./dom.js";
import { put } from "./basket.js";

const PICTURES = [
  [/baby|infant|diaper/, "baby"], [/hot dogs?\b/, "meat"], [/\b(cat|dog|pet|bird)/, "paw"],
  [/frozen|\bice\b|novelties/, "frozen"], [/sauce|condiment|dressing|peanut butter|jelly|spice|olive|pickle|vinegar|\boil\b/, "jar"],
  [/seafood|fish|tuna|shrimp|sushi/, "fish"], [/\beggs?\b/, "egg"],
  [/cheese/, "cheese"], [/milk|yogurt|dairy|butter|margarine|cream/, "dairy"],
  [/meat|beef|pork|chicken|turkey|sausage|bacon|lamb|\bham\b/, "meat"],
  [/snack|chips?\b|cracker|popcorn|\bnuts?\b|pretzel|rice cake/, "snack"],
  [/\bcakes?\b|pastr|cookie|sweet goods|donut|\bpies?\b|baking/, "cake"], [/bread|\bbuns?\b|\brolls?\b|bagel|tortilla|dough|sandwich/, "bread"],
  [/coffee|\bteas?\b|cocoa/, "cup"], [/drink|juice|water|beer|ales|wine|liquor|beverage|isoton/, "drink"],
  [/candy|choc|\bgum\b|sugar|syrup|\bjam/, "sweet"],
  [/clean|laundry|detergent|paper|tissue|napkin|wrap|towel|trash|bleach|household|kitchen|candle|batter|bulb|air care/, "home"],
  [/soup|dinner|prepared|deli|meals|chili/, "bowl"], [/cereal|rice|pasta|noodle|flour|bean|breakfast/, "grain"],
  [/fruit|berries|apple|citrus|grape|banana|melon|orange|peach|pear|cherr|plum/, "fruit"],
  [/veg|salad|potato|onion|carrot|tomato|pepper|broccoli|corn|mushroom|squash|produce|herb/, "greens"],
  [/flor|flower|garden|plant|bouquet|roses/, "flower"],
  [/hair|skin|cosmetic|oral|vitamin|medic|analges|drug|soap|deodor|shav|dental|health|cold|makeup|feminine|first aid|facial/, "care"],
];

export function picture(product) {
  for (const text of [product.shelf, product.title, product.department]) {
    const found = PICTURES.find(([words]) => words.test((text ?? "").toLowerCase()));
    if (found) return found[1];
  }
  return "bag";
}

/** Neighbouring categories differ in colour; a category always has the same one. */
export function hue(category) {
  let sum = 7;
  for (const char of category) sum = (sum * 31 + char.codePointAt(0)) % 3600;
  return Math.round(sum / 10);
}

export function tile(product, size = 44) {
  const made = make("span", { class: "tile" }, icon(picture(product), size));
  made.style.setProperty("--hue", hue(product.category || product.id));
  return made;
}

export function price(product) {
  if (product.price == null) return make("span", { class: "price" }, "");
  const was = product.previous_price;
  if (was == null || was <= product.price) return make("span", { class: "price" }, money(product.price));
  return make("span", { class: "price reduced" },
    make("s", {}, make("span", { class: "unseen" }, "before "), money(was)), " ",
    make("b", {}, make("span", { class: "unseen" }, "now "), money(product.price)));
}

export function reduction(product) {
  const { price: now, previous_price: was } = product;
  if (now == null || was == null || was <= now) return null;
  return make("span", { class: "badge" }, `−${Math.round(100 * (1 - now / was))} %`);
}

/** Ids of those that stand beside another of the same name: their number tells them apart. */
export function twins(products) {
  const counts = new Map();
  for (const { title } of products) counts.set(title, (counts.get(title) ?? 0) + 1);
  return new Set(products.filter(({ title }) => counts.get(title) > 1).map(({ id }) => id));
}

export const about = (product, isTwin) => [product.brand, isTwin ? `No.\u00a0${product.id}` : ""].filter(Boolean).join(" · ");

/** `heading`: its level on the page. `isTwin`: its number is shown. `onOpen` hears of a click on the product itself. */
export function card(product, { heading = "h3", isTwin = false, onOpen = null } = {}) {
  const link = make("a", { href: `#/item/${encodeURIComponent(product.id)}`, class: "title" }, unbroken(product.title || product.id),
    isTwin ? make("span", { class: "unseen" }, `, number ${product.id}`) : null);
  if (onOpen) link.addEventListener("click", onOpen);
  const add = product.in_stock === false
    ? make("span", { class: "soldout" }, "Sold out")
    : make("button", { type: "button", class: "add", onclick: () => put(product), "aria-label": `Put ${product.title}${isTwin ? `, number ${product.id},` : ""} into the basket` }, icon("plus", 20));
  return make("article", { class: "card", data: { item: product.id } },
    tile(product),
    reduction(product),
    make("div", { class: "words" },
      product.shelf ? make("span", { class: "category" }, soft(product.shelf)) : null,
      make(heading, {}, link),
      about(product, isTwin) ? make("span", { class: "about" }, about(product, isTwin)) : null,
      product.reason ? make("p", { class: "reason" }, sentence(product.reason)) : null),
    make("div", { class: "foot" }, price(product), add));
}
