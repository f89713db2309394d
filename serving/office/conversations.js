/* Conversations: what customers asked the assistant; who waits for a person comes first. */
import { get } from "./ask.js";
import { make } from "./dom.js";
import { ago, notice, percent, section } from "./parts.js";

const KINDS = { answer: "answered", refusal: "refused", login: "asked for a login", hand_over: "handed over", greeting: "greeted" };

export async function conversations(reload) {
  const found = await get("conversations");
  const waiting = found.conversations.filter((said) => said.hand_over);
  const others = found.conversations.filter((said) => !said.hand_over);
  return [
    ...(found.is_switched_on ? [] : [notice("This server answers no questions: set ENDCAP_ASSISTANT=true and start it anew. Below is what was said elsewhere.")]),
    make("p", { class: "asking" }, make("button", { type: "button", class: "quiet", onclick: () => reload() }, "Look again")),
    section(`Handed over to a person (${waiting.length})`, list("hand-overs", waiting, "Nobody waits.")),
    section(`Answered by the assistant (${others.length})`, list("answered", others, "Nothing was asked yet.")),
  ];
}

const list = (id, rows, none) => (rows.length ? make("ul", { id }, ...rows.map(said)) : make("p", { class: "note" }, none));

function said(one) {
  return make("li", { class: one.hand_over ? "item waits" : "item", data: { kind: one.kind } },
    make("h3", {}, one.question),
    make("p", {}, one.text),
    make("p", { class: "small" }, make("span", { class: one.kind === "answer" || one.kind === "greeting" ? "tag" : "tag bad" }, KINDS[one.kind] ?? one.kind),
      ` ${one.intent.replaceAll("_", " ")} (${percent(one.confidence)}) · ${one.language} · ${one.user_id ? `shopper ${one.user_id}` : "not logged in"} · ${ago(one.at_ms)}${one.phrased ? " · phrased by a model" : ""}`),
    one.cited.length ? make("details", {}, make("summary", {}, `Rests on ${one.cited.length} ${one.cited.length === 1 ? "record" : "records"}`), make("ul", {}, ...one.cited.map((each) => make("li", {}, each)))) : "",
    one.hand_over ? handOver(one.hand_over) : "");
}

/* Whatever it holds: names of fields as they are, lists as lists. */
function handOver(found) {
  return make("details", { open: true }, make("summary", {}, "What was said so far"),
    ...Object.entries(found).filter(([, value]) => (Array.isArray(value) ? value.length : value)).map(([name, value]) => (Array.isArray(value)
      ? make("div", {}, make("p", {}, `${name.replaceAll("_", " ")}:`), make("ul", {}, ...value.map((each) => make("li", {}, spelled(each)))))
      : make("p", {}, `${name.replaceAll("_", " ")}: ${spelled(value)}`))));
}

const spelled = (value) => (typeof value === "object" && value ? Object.values(value).map(spelled).join(", ") : String(value));
