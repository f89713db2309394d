/* Status: the model in use and its figures, the shadow, experiments and how fresh lists are. */
import { get } from "./ask.js";
import { make } from "./dom.js";
import { ago, count, facts, notice, percent, section, signed, table, when } from "./parts.js";

const FIGURES = { hr_at_10: "HR@10", ndcg_at_10: "NDCG@10", map_at_10: "MAP@10", precision: "precision", recall: "recall" };

export async function status(reload) {
  const found = await get("status");
  return [
    make("p", { class: "asking" }, make("button", { type: "button", class: "quiet", onclick: () => reload() }, "Look again")),
    models(found.models, found.process), lists(found.lists, found.process), experiments(found.experiments),
  ];
}

function models(found, own) {
  if (found.problem) return section("Model", notice(found.problem, true));
  const bundle = (name, one, note) => [name, one ? one.name ?? one.bundle : "none", one ? [one.problem ?? `made ${one.created_at}`, note].filter(Boolean).join(" · ") : ""];
  const figures = Object.entries(found.figures);
  return section("Model", facts([
    bundle("In use", found.current), bundle("Before it", found.previous), bundle("In its shadow", found.shadow, found.shadow ? `for ${percent(found.shadow_share)} of shoppers` : ""),
    ["Items it knows", count(found.items)],
    ["This server scores with", own.model.name ?? "no model", own.model.provider ?? "http_rescore is off, or none is loaded yet"],
  ]), table("Figures of the bundle, as its training measured them", ["Ranker", ...Object.values(FIGURES).map((name) => `#${name}`)],
    figures.map(([name, values]) => [name === "pop" ? "popularity" : name, ...Object.keys(FIGURES).map((each) => (each in values ? values[each].toFixed(4) : ""))])),
  make("p", { class: "note" }, "Made by ", make("code", {}, found.command), ". Swap by ", make("code", {}, "endcap models use BUNDLE"), "."));
}

function lists(found, own) {
  const made = (ms) => (ms == null ? ["none", ""] : [ago(ms), when(ms)]);
  return section("Lists", facts([
    ["Newest list", ...made(found.newest_ms)], [`Oldest of ${found.looked_at} looked at`, ...made(found.oldest_ms)], ["What trends", ...made(found.trending_ms)],
    ["Answered by this server", count(own.requests), own.mean_ms == null ? "" : `${own.mean_ms} ms on average`], ["Lists it read again as they changed", count(own.list_changes)],
  ]));
}

function experiments(found) {
  if (found.problem) return section("Experiments", notice(found.problem, true));
  if (!found.experiments.length) return section("Experiments", make("p", { class: "note" }, `None: ${found.file} names none.`));
  return section("Experiments", ...found.experiments.map(experiment));
}

function experiment(one) {
  const result = make("div", { "aria-live": "polite" });
  const look = async () => {
    result.replaceChildren(make("p", { class: "note" }, "Counting from the topics …"));
    try {
      result.replaceChildren(...report(await get(`experiments/${encodeURIComponent(one.experiment)}`)));
    } catch (error) {
      result.replaceChildren(notice(error.message, true));
    }
  };
  return make("div", { class: "item", data: { experiment: one.experiment } },
    make("h3", {}, `${one.experiment} `, make("span", { class: "tag" }, one.state)),
    make("p", { class: "small" }, `${one.start} to ${one.end} · ${Object.entries(one.shares).map(([name, share]) => `${name} ${percent(share)}`).join(", ")}`),
    make("div", { class: "acts" }, make("button", { type: "button", class: "quiet", onclick: look }, "Report", make("span", { class: "unseen" }, ` of ${one.experiment}`))), result);
}

function report(found) {
  const rate = (one) => (one ? `${percent(one.value, 2)} (${percent(one.low, 2)} to ${percent(one.high, 2)})` : "none");
  const uplift = (one) => (one ? `${signed(100 * one.value, 1)} % (${signed(100 * one.low, 1)} to ${signed(100 * one.high, 1)}, p ${one.p_value.toPrecision(2)})` : "");
  const rows = found.variants.flatMap((one) => Object.keys(one.rates).map((measure) => [
    `${one.name}, ${measure.replace("_", "-")}`, count(one.users), rate(one.rates[measure]), one.name === found.control ? "control" : uplift(one.uplifts[measure]) || "not known",
  ]));
  return [
    table(`Report of ${found.experiment}`, ["Variant and measure", "#Shoppers", "#Rate", `#Uplift over ${found.control}`], rows),
    make("p", { class: "note" }, `Sample ratio ${found.sample_ratio.is_sound ? "fits" : "MISMATCH"} (p ${found.sample_ratio.p_value.toPrecision(2)}).`),
    ...found.warnings.map((text) => notice(text, text.startsWith("SAMPLE"))),
  ];
}
