/* Segments: how many shoppers are where now, one shopper's, and the contacts that campaigns planned. */
import { get } from "./ask.js";
import { make } from "./dom.js";
import { ago, count, facts, money, notice, percent, section, table, when } from "./parts.js";

const STATES = { new: "one visit so far", active: "comes as usual", lapsing: "later than usual", lapsed: "probably gone" };
const TIERS = { high: "as the upper third", middle: "as the middle third", low: "as the lower third" };

export async function segments() {
  const found = await get("segments");
  const shown = (counts, words) => facts(Object.keys(words).map((name) => [`${name}: ${words[name]}`, count(counts[name] ?? 0)]));
  const now = found.is_ready
    ? [section("Shoppers by state, now", shown(found.states, STATES)), section("Shoppers by expected spend", make("p", { class: "note" }, "Of a year, against the thirds of those from whom segments were learned."), shown(found.tiers, TIERS)), oneShopper()]
    : [notice(found.note)];
  return [...now, campaigns(found.campaigns)];
}

function oneShopper() {
  const input = make("input", { id: "shopper", required: true, maxlength: "256", autocomplete: "off" });
  const result = make("div", { id: "segment", "aria-live": "polite" });
  const show = async (event) => {
    event.preventDefault();
    try {
      const { found } = await get(`segments/${encodeURIComponent(input.value.trim())}`);
      result.replaceChildren(...(found ? told(found) : [notice("There is no segment of this shopper: nothing was bought yet, or it was erased.")]));
    } catch (error) {
      result.replaceChildren(notice(error.message, true));
    }
  };
  return section("One shopper", make("form", { class: "asking", onsubmit: show }, make("label", {}, "Shopper's id", input), make("button", { type: "submit", class: "solid" }, "Show")), result);
}

function told(found) {
  const shares = (name, rows) => table(name, ["Name", "#Share"], rows.map((row) => [row.name, percent(row.share)]));
  return [
    facts([
      ["State", found.state, `last visit ${ago(found.last_ms)}`],
      ["Expected spend of a year", money(found.value), `${found.tier} tier`],
      ["Visits in 91 days", count(found.visits), `${money(found.spend)} spent`],
      ["Expected visits in 28 days", found.expected_visits.toFixed(1), `chance of none ${percent(found.churn_risk)}`],
      ["Bought at a discount", percent(found.discount_share), found.seeks_discounts ? "seeks discounts" : ""],
      ["Lapsing from", when(found.lapsing_from_ms), `lapsed from ${when(found.lapsed_from_ms)}`],
    ]),
    ...(found.categories.length ? [shares("Categories", found.categories)] : []),
    ...(found.brands.length ? [shares("Brands", found.brands)] : []),
  ];
}

function campaigns(found) {
  const how = make("p", { class: "note" }, "Contacts in the topic of campaigns, each once. They are made by ", make("code", {}, "endcap campaign plan FILE --candidates FILE --send"), "; what is held out is not addressed, and tells later what the campaign brought: ", make("code", {}, "endcap campaign result NAME"), ".");
  if (!found.length) return section("Campaigns", how, make("p", { class: "note" }, "None is planned."));
  return section("Campaigns", how, table("Planned contacts", ["Campaign", "#Contacts", "#Held out", "#Expected uplift", "#Cost", "Planned"],
    found.map((each) => [each.campaign, count(each.contacts), count(each.held_out), money(each.expected_uplift), money(each.cost), when(each.planned_ms)])));
}
