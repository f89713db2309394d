/* A product on a card. */
import { icon, make, money, sentence, soft } from "./dom.js";
import { put } from "./basket.js";

const PICTURES = [
  [/baby|infant|diaper/, "baby"], [/\b(cat|dog|pet|bird)/, "paw"],
  [/frz|frozen|\bice\b|novelties/, "frozen"], [/seafood|fish|tuna|shrimp/, "fish"],
  [/cheese/, "cheese"], [/milk|yogurt|dairy|butter|margarine|egg|cream/, "dairy"],
  [/cake|pastr|cookie|sweet goods|donut|pie|baking/, "cake"], [/bread|bun|roll|bagel|tortilla|dough/, "bread"],
  [/coffee|tea\b|cocoa/, "cup"], [/drink|juice|water|beer|ales|wine|liquor|beverage|isoton/, "drink"],
  [/candy|choc|gum|sugar|syrup|jam/, "sweet"], [/snack|chip|cracker|popcorn|nuts|peanut|pretzel/, "snack"],
  [/soup|dinner|prepared|deli|meals|chili/, "bowl"], [/cereal|rice|pasta|noodle|flour|bean|brkfst/, "grain"],
  [/meat|beef|pork|chicken|turkey|sausage|bacon|hot dog|lamb|ham\b/, "meat"],
  [/fruit|berries|apple|citrus|grape|banana|melon|orange|peach|pear|cherr|plum/, "fruit"],
  [/veg|salad|potato|onion|carrot|tomato|pepper|broccoli|corn|mushroom|squash|produce|herb/, "greens"],
  [/flor|flower|garden|plant|bouquet/, "flower"],
  [/hair|skin|cosmetic|oral|vitamin|medic|drug|soap|deodor|shav|dental|health|cold|makeup|feminine|first aid/, "care"],
  [/clean|laundry|detergent|paper|tiss|wrap|towel|trsh|bleach|household|kitchen|candle|batter|bulb/, "home"],
  [/sauce|condiment|dressing|spice|shelf|oil|olive|pickle|canned|spread|vinegar/, "jar"],
];

export function picture(product) {
  const text = `${product.category} ${product.department}`.toLowerCase();
  return (PICTURES.find(([words]) => words.test(text)) ?? [null, "bag"])[1];
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

/** `heading`: its level on the page. `onOpen` hears of a click on the product itself. */
export function card(product, { heading = "h3", onOpen = null } = {}) {
  const link = make("a", { href: `#/item/${encodeURIComponent(product.id)}`, class: "title" }, product.title || product.id);
  if (onOpen) link.addEventListener("click", onOpen);
  const add = product.in_stock === false
    ? make("span", { class: "soldout" }, "Sold out")
    : make("button", { type: "button", class: "add", onclick: () => put(product), "aria-label": `Put ${product.title} into the basket` }, icon("plus", 20));
  return make("article", { class: "card", data: { item: product.id } },
    tile(product),
    reduction(product),
    make("div", { class: "words" },
      product.category ? make("span", { class: "category" }, soft(product.category)) : null,
      make(heading, {}, link),
      product.reason ? make("p", { class: "reason" }, sentence(product.reason)) : null),
    make("div", { class: "foot" }, price(product), add));
}
