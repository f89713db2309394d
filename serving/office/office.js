/* The office: which panel is shown, and the operator's key. */
import { forgetKey, keepKey, key } from "./ask.js";
import { conversations } from "./conversations.js";
import { $, make } from "./dom.js";
import { notice } from "./parts.js";
import { prices } from "./prices.js";
import { segments } from "./segments.js";
import { status } from "./status.js";

const PANELS = { prices, segments, conversations, status };
const TITLES = { prices: "Prices", segments: "Segments and campaigns", conversations: "Conversations", status: "Models and experiments" };
let shownFor = 0;

async function show(isFirst = false) {
  const mine = ++shownFor;
  const name = location.hash.slice(2) in PANELS ? location.hash.slice(2) : "prices";
  delete document.documentElement.dataset.ready;
  for (const link of $("panels").querySelectorAll("a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[name]} · endcap office`;
  $("forget-key").hidden = !key();
  const title = make("h1", { tabindex: "-1" }, TITLES[name]);
  const body = make("div", {});
  $("main").replaceChildren(title, body);
  $("main").setAttribute("aria-busy", "true");
  if (!isFirst) title.focus();
  try {
    const children = await PANELS[name](show);
    if (mine !== shownFor) return;
    body.replaceChildren(...children);
  } catch (error) {
    if (mine !== shownFor) return;
    body.replaceChildren(...(error.status === 401 || error.status === 403 ? keyForm(error) : [notice(error.message, true), again()]));
  }
  $("main").setAttribute("aria-busy", "false");
  document.documentElement.dataset.ready = name;
}

const again = () => make("button", { type: "button", class: "quiet", onclick: () => show() }, "Try again");

/* The key stays in this tab, and goes with it. */
function keyForm(error) {
  const input = make("input", { type: "password", id: "key", autocomplete: "off", required: true });
  const open = (event) => { event.preventDefault(); keepKey(input.value.trim()); show(); };
  return [
    notice(key() ? error.message : "This server wants a key with the role operator. It is kept in this tab alone."),
    make("form", { class: "asking", onsubmit: open }, make("label", {}, "Operator's key", input), make("button", { type: "submit", class: "solid" }, "Open the office")),
  ];
}

$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
$("forget-key").addEventListener("click", () => { forgetKey(); show(); });
addEventListener("hashchange", () => show());
show(true);
