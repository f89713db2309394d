/* Prices: the evidence of a category, suggestions against today, proposals and what became of them. */
import { get, post } from "./ask.js";
import { $, make, say, sentence } from "./dom.js";
import { count, facts, money, notice, percent, section, signed, signedMoney, span, table } from "./parts.js";

const WHO = "endcap.office.who";
const AGAIN_MS = 3000;
const STATUS = { proposed: "waits for approval", approved: "in force", refused: "refused", rolled_back: "rolled back" };
let category = "COFFEE";
let objective = "margin";
let looking = 0;
const decided = new Map();

export async function prices(reload) {
  const [found, made] = await Promise.all([get("prices"), get("prices/proposals")]);
  const list = make("div", { id: "proposals", tabindex: "-1", role: "group", "aria-label": "Proposals" });
  const refresh = async (written) => {
    decided.set(written.proposal_id, written);
    fillList(list, (await get("prices/proposals")).proposals, refresh);
    list.focus();
  };
  fillList(list, made.proposals, refresh);
  const proposals = section("Proposals", who(), list);
  if (!found.is_ready) {
    lookAgain(reload);
    return [notice(found.note), proposals];
  }
  const names = found.categories.map((each) => each.category);
  if (!names.includes(category)) category = names.find((name) => name.toLowerCase() === category.toLowerCase()) ?? names[0];
  const results = make("div", { id: "results", "aria-live": "polite" });
  const select = make("select", { id: "category" }, ...found.categories.map((each) => make("option", { value: each.category },
    `${each.category} · ${each.items} ${each.items === 1 ? "item" : "items"}, ${count(each.units_a_week)} a week`)));
  select.value = category;
  const aim = make("select", { id: "objective" }, make("option", { value: "margin" }, "margin"), make("option", { value: "revenue" }, "revenue"));
  aim.value = objective;
  const ask = (what) => async (event) => {
    event.preventDefault();
    [category, objective] = [select.value, aim.value];
    await fill(results, () => what(refresh));
  };
  return [
    make("p", { class: "note" }, "One price for everyone. Nothing changes before somebody approves it."),
    make("form", { class: "asking", onsubmit: ask(suggestions) },
      make("label", {}, "Category", select), make("label", {}, "Aim", aim),
      make("button", { type: "button", class: "quiet", id: "show-evidence", onclick: ask(evidence) }, "Show the evidence"),
      make("button", { type: "submit", class: "solid", id: "suggest" }, "Suggest prices")),
    results, proposals,
  ];
}

/* Evidence that is being prepared is looked for again, while nobody has left the panel. */
function lookAgain(reload) {
  clearTimeout(looking);
  looking = setTimeout(() => {
    if (document.documentElement.dataset.ready !== "prices") return;
    if (document.activeElement?.matches("input")) lookAgain(reload); // somebody writes
    else reload(true);
  }, AGAIN_MS);
}

async function fill(results, ask) {
  results.setAttribute("aria-busy", "true");
  results.replaceChildren(make("p", { class: "note" }, "Computing …"));
  try {
    results.replaceChildren(...(await ask()));
  } catch (error) {
    results.replaceChildren(notice(error.message, true));
  }
  results.setAttribute("aria-busy", "false");
}

const effect = (one) => span(signed(one.value), signed(one.low), signed(one.high));

async function evidence() {
  const found = await get(`prices/elasticities?category=${encodeURIComponent(category)}`);
  const row = (name, one, own, warning) => [name, effect(one.price), effect(one.display), effect(one.mailer), own, warning];
  return [section(`Evidence: ${found.category}`,
    make("p", { class: "note" }, "Percent of demand by percent of price; the logarithm of demand with a display or a mailer in all stores. Below each its 95 % interval. Own word: how much the item's own history counts in it."),
    table(`Elasticities of ${found.category}`, ["Item", "#Price", "#Display", "#Mailer", "#Own word", "Warning"], [
      row(`Mean of ${found.told_by} items`, found.effects, "", ""),
      ...found.items.map((item) => row(named(item), item.effects, percent(item.own_share), item.warning)),
    ]))];
}

const named = (item) => make("span", {}, item.title, make("small", {}, `No. ${item.item_id}`));

async function suggestions(refresh) {
  const found = await get(`prices/suggestions?category=${encodeURIComponent(category)}&objective=${objective}`);
  const changed = found.items.filter((item) => item.change);
  const total = (name, spell) => [`${name} a week, today`, spell(found.today[name].expected), `suggested ${spell(found.suggested[name].expected)} (${spell(found.suggested[name].low)} to ${spell(found.suggested[name].high)})`];
  const gain = (name) => [`Gain in ${name}`, signedMoney(found.gain[name].expected), `${signedMoney(found.gain[name].low)} to ${signedMoney(found.gain[name].high)}`];
  const propose = make("button", { type: "button", class: "solid", id: "propose", onclick: () => act(refresh, "Proposed: it waits for approval.", async (who) => {
    const written = await post("prices/proposals", { category: found.category, objective: found.objective, suggestion_id: found.suggestion_id, who });
    $("results").replaceChildren();
    return written;
  }) }, `Propose ${changed.length} ${changed.length === 1 ? "price" : "prices"}`);
  return [section(`Suggestions: ${found.category}`,
    make("p", { class: "note" }, `${sentence(found.costs)}. Intervals: ${found.interval}.`),
    facts([total("units", count), total("revenue", money), total("margin", money), gain("revenue"), gain("margin")]),
    table(`Prices of ${found.category}`, ["Item", "#Today", "#Suggested", "#Units a week", "#Revenue", "#Margin", "#Elasticity", "Remarks"], found.items.map((item) => [
      named(item), money(item.price_today), item.change ? make("span", { class: item.change > 0 ? "up" : "down" }, money(item.price), make("small", {}, `${signed(100 * item.change, 1)} %`)) : "as today",
      moved(item, "units", (value) => value.toFixed(1)), moved(item, "revenue", money), moved(item, "margin", money),
      span(signed(item.elasticity.value), signed(item.elasticity.low), signed(item.elasticity.high)), [item.note, item.warning].filter(Boolean).join("; "),
    ])),
    changed.length ? make("p", { class: "asking" }, propose) : notice("No price would change."))];
}

const moved = (item, name, spell) => span(`${spell(item.today[name].expected)} → ${spell(item.suggested[name].expected)}`, spell(item.suggested[name].low), spell(item.suggested[name].high));

function who() {
  const input = make("input", { id: "who", maxlength: "100", autocomplete: "name" });
  input.value = sessionStorage.getItem(WHO) ?? "";
  input.addEventListener("input", () => sessionStorage.setItem(WHO, input.value));
  return make("div", { class: "asking" }, make("label", {}, "Your name: it stays with what you propose and decide", input));
}

async function act(refresh, said, ask) {
  const name = $("who").value.trim();
  if (!name) {
    say("Write your name first: it stays with the decision.", true);
    $("who").focus();
    return;
  }
  try {
    const written = await ask(name);
    say(said);
    await refresh(written);
  } catch (error) {
    say(error.message, true);
  }
}

/* Kafka says that a transaction is committed a moment before readers see it: what this page has written is not
   forgotten meanwhile. */
function merged(found) {
  const every = new Map(found.map((each) => [each.proposal_id, each]));
  for (const [id, each] of decided) {
    if (!every.has(id) || every.get(id).steps.length < each.steps.length) every.set(id, each);
  }
  return [...every.values()];
}

function fillList(list, proposals, refresh) {
  const found = merged(proposals);
  list.replaceChildren(found.length
    ? make("ul", {}, ...[...found].reverse().map((each) => proposal(each, refresh)))
    : make("p", { class: "note" }, "None yet."));
}

function proposal(each, refresh) {
  const decide = (decision, word, kind, said) => make("button", { type: "button", class: kind, onclick: () => act(refresh, said, (name) =>
    post(`prices/proposals/${encodeURIComponent(each.proposal_id)}`, { decision, who: name })) }, word, make("span", { class: "unseen" }, ` ${each.proposal_id}`));
  const acts = {
    proposed: [decide("approved", "Approve", "solid", "Approved: the prices are in the catalogue."), decide("refused", "Refuse", "danger", "Refused: no price changed.")],
    approved: [decide("rolled_back", "Roll back", "danger", "Rolled back: the old prices are in the catalogue.")],
  }[each.status] ?? [];
  return make("li", { class: "item", data: { proposal: each.proposal_id, status: each.status } },
    make("h3", {}, `${each.category} `, make("span", { class: "tag" }, STATUS[each.status])),
    make("p", { class: "small" }, each.proposal_id),
    make("p", {}, each.steps.map((step) => `${step.status.replace("_", " ")} by ${step.who} (${step.at})`).join(", ")),
    make("p", {}, Object.entries(each.evidence).map(([name, value]) => `${name}: ${value}`).join(" · ")),
    make("details", {}, make("summary", {}, `${each.prices.length} ${each.prices.length === 1 ? "price" : "prices"}`),
      table(`Prices of ${each.proposal_id}`, ["Item", "#Before", "#After"], each.prices.map((line) => [line.item_id, money(line.old_price), money(line.new_price)]))),
    acts.length ? make("div", { class: "acts" }, ...acts) : "");
}
