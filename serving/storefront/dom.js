/* Elements from text alone: nothing that comes from the server is ever read as HTML. */
const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function make(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") made.className = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null && child !== ""));
  return made;
}

export function icon(name, size = 20) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", size);
  svg.setAttribute("height", size);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/shop/page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export const money = (amount) => (amount == null ? "" : `$${amount.toFixed(2)}`);
/** No line ends within a size: “16 oz”. */
export const unbroken = (text) => text.replace(/([\d×]) (?=[\w×])/g, "$1\u00a0");
/** A line may end after a slash: categories are written with many. */
export const soft = (text) => text.replaceAll("/", "/\u200b");
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

let fading = 0;
/** Said on the page and by screen readers, for some seconds. */
export function say(text, isError = false) {
  const said = $("said");
  said.textContent = text;
  said.classList.toggle("error", isError);
  said.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(hush, isError ? 8000 : 3500);
}

/** What was said goes away: something opens where it stands. */
export const hush = () => $("said").classList.remove("shown");
