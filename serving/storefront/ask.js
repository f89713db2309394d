/* Ask us: the assistant's answers, each with where it stands. The conversation stays in this page. */
import { get, user } from "./api.js";
import { $, hush, make } from "./dom.js";
import { onShopper, shopper } from "./who.js";

const TRY = ["Where is my order?", "What did I buy last month?", "How long can I return something?"];
const MOST_EARLIER = 20;
const SOURCES = { document: "Document", order: "Order", orders: "Your orders", product: "Product", list: "Your list", period: "Period" };
let conversation = "";
let earlier = [];
let token = "";
let isAsking = false;

/** The door is there where the server answers questions. */
export async function openAsking() {
  const { answers } = await get("/shop/assistant").catch(() => ({ answers: false }));
  if (!answers) return;
  $("open-ask").hidden = false;
  $("open-ask").addEventListener("click", () => { hush(); $("ask").showModal(); $("question").focus(); });
  $("question-form").addEventListener("submit", (event) => { event.preventDefault(); ask($("question").value.trim()); });
  onShopper(anew);
  anew();
}

/* Nobody goes on with the conversation of somebody else. */
function anew() {
  conversation = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  earlier = [];
  token = "";
  $("talk").replaceChildren(make("div", { class: "told" }, "Ask about your orders, products, prices, returns or delivery. Answers come from the shop's own records.",
    make("p", { class: "asked" }, ...TRY.map((text) => make("button", { type: "button", class: "quiet", onclick: () => ask(text) }, text)))));
}

async function ask(question) {
  if (!question || isAsking) return;
  isAsking = true;
  const mine = conversation;
  $("question").value = "";
  show(make("div", { class: "asked-of-us" }, question));
  try {
    const said = await answer({ question, conversation_id: mine, earlier });
    if (mine !== conversation) return;
    earlier = [...earlier, { question, kind: said.kind }].slice(-MOST_EARLIER);
    show(told(said));
  } catch (error) {
    if (mine === conversation) show(make("div", { class: "told" }, error.message));
  } finally {
    isAsking = false;
  }
}

/* A token that has expired is asked for once more. */
async function answer(body, isAgain = false) {
  token ||= (await posted(`/shop/token/${user(shopper())}`)).token;
  try {
    return await posted("/v1/assistant", body, { "X-Shopper-Token": token });
  } catch (error) {
    if (error.status !== 401 || isAgain) throw error;
    token = "";
    return answer(body, true);
  }
}

async function posted(path, body, headers = {}) {
  const answer = await fetch(path, { method: "POST", headers, body: body && JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  const said = answer.status === 503 ? "The shop cannot answer right now. Try again in a moment." : found.detail || `The server answered ${answer.status}.`;
  throw Object.assign(new Error(said), { status: answer.status });
}

function told(said) {
  const places = [...new Set(said.citations.map((each) => `${SOURCES[each.source] ?? each.source} ${each.id}`))];
  return make("div", { class: "told", data: { kind: said.kind } }, said.text,
    places.length ? make("details", {}, make("summary", {}, "Where this stands"), make("ul", {}, ...places.map((place) => make("li", {}, place)))) : "");
}

function show(part) {
  $("talk").append(part);
  part.scrollIntoView({ block: "nearest" });
}
