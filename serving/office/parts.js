/* Parts that several panels are made of. */
import { make } from "./dom.js";

export const count = (value) => Math.round(value).toLocaleString("en");
export const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)} %`;
export const signed = (value, digits = 2) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;
export const money = (value) => `${value < 0 ? "−" : ""}$${Math.abs(value).toFixed(2)}`;
export const signedMoney = (value) => (value > 0 ? `+${money(value)}` : money(value));
export const when = (ms) => new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** How long ago, in words. */
export function ago(ms) {
  const s = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (s < 120) return `${s} s ago`;
  if (s < 7200) return `${Math.round(s / 60)} min ago`;
  return s < 172800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86400)} days ago`;
}

/** A value, and its interval below it. */
export const span = (value, low, high) => make("span", {}, value, make("small", {}, `${low} to ${high}`));

/** `heads`: names; one with a leading # is of numbers. The first cell of a row heads it. */
export function table(caption, heads, rows) {
  const isNumber = heads.map((head) => head.startsWith("#"));
  const cell = (content, at) => make(at ? "td" : "th", { scope: at ? null : "row", class: isNumber[at] ? "number" : null }, content ?? "");
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map((head, at) => make("th", { scope: "col", class: isNumber[at] ? "number" : null }, head.replace(/^#/, ""))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell))))));
}

export const facts = (pairs) => make("dl", { class: "cards" },
  ...pairs.map(([name, value, note]) => make("div", {}, make("dt", {}, name), make("dd", {}, value, note ? make("small", {}, note) : ""))));

export const notice = (text, isBad = false) => make("p", { class: isBad ? "notice bad" : "notice" }, text);
export const section = (title, ...children) => make("section", {}, make("h2", {}, title), ...children);
