/* What is known of the shopper: shown, handed out, erased. */
import { erase, get, user } from "./api.js";
import { drop } from "./basket.js";
import { $, make, say } from "./dom.js";
import { shopper } from "./who.js";

const DID = { view_item: "looked at", select_item: "chose", add_to_cart: "put into the basket", add_to_wishlist: "wished for", purchase: "bought" };
const LOOK_MS = [200, 400, 800, 1500, 2500, 4000, 6000, 8000];
const when = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export function openAbout() {
  $("open-about").addEventListener("click", () => { $("about").showModal(); refresh(); });
  $("erase").addEventListener("click", () => sure(true));
  $("erase-no").addEventListener("click", () => { sure(false); $("erase").focus(); });
  $("erase-yes").addEventListener("click", forgetMe);
}

/** Where the panel is open: after each list, what is known has changed. */
export function refreshIfOpen() {
  if ($("about").open && $("erase-sure").hidden) refresh();
}

async function refresh() {
  const id = shopper();
  sure(false);
  $("export").href = `/v1/users/${user(id)}`;
  $("export").download = `${id}.json`;
  try {
    const { known } = await get(`/shop/known/${user(id)}`);
    const person = known ? await get(`/v1/users/${user(id)}`) : null;
    if (id === shopper()) draw(id, person, await titles(person));
  } catch (error) {
    $("about-body").replaceChildren(make("p", {}, `What is known cannot be read now. ${error.message}`));
  }
}

async function titles(person) {
  const bought = (person?.purchased ?? []).slice().sort((a, b) => b.times - a.times);
  const ids = [...new Set([...bought.slice(0, 12), ...(person?.session?.interactions ?? []).slice(0, 12)].map((row) => row.id))];
  if (!ids.length) return new Map();
  const products = await get(`/shop/products?${ids.map((each) => `ids=${user(each)}`).join("&")}`);
  return new Map(products.map((product) => [product.id, product.title]));
}

function draw(id, person, names) {
  const body = $("about-body");
  $("export").hidden = $("erase").hidden = !person;
  if (!person) {
    body.replaceChildren(make("p", { class: "empty" }, "Nothing. ", make("span", { class: "small" }, `No event of ${id} is kept, and no list.`)));
    return;
  }
  const history = person.session?.interactions ?? [];
  const bought = person.purchased.slice().sort((a, b) => b.times - a.times);
  body.replaceChildren(
    make("p", { class: "small" }, "The shop knows you as ", make("code", {}, id), ". This is all that it goes by."),
    make("dl", { class: "facts" },
      fact("events", person.session?.events_folded ?? 0), fact("in the basket", person.session?.cart.length ?? 0),
      fact("products bought", bought.length), fact("in your list", person.list?.items.length ?? 0)),
    make("h3", {}, "What you did last"),
    person.sessions === "away" ? make("p", { class: "small" }, "This cannot be read right now; what you did is not lost.") : history.length ? make("ul", { class: "deeds" }, ...history.slice(0, 12).map((past) => make("li", {},
      make("span", {}, names.get(past.id) ?? (past.title || past.id)),
      make("small", {}, `${DID[past.event_name] ?? past.event_name}, ${when.format(past.timestamp_ms)}`)))) : make("p", { class: "small" }, "Nothing yet."),
    make("h3", {}, "What you buy most"),
    bought.length ? make("ul", { class: "deeds" }, ...bought.slice(0, 12).map((row) => make("li", {},
      make("span", {}, names.get(row.id) ?? row.id),
      make("small", {}, row.times === 1 ? `once, ${when.format(row.last_ms)}` : `${row.times} times, last ${when.format(row.last_ms)}`)))) : make("p", { class: "small" }, "Nothing yet."));
}

const fact = (name, count) => make("div", {}, make("dt", {}, name), make("dd", {}, String(count)));

function sure(isAsked) {
  $("erase-sure").hidden = !isAsked;
  $("erase").hidden = isAsked || $("export").hidden;
  if (isAsked) $("erase-no").focus();
}

async function forgetMe() {
  const id = shopper();
  $("erase-yes").disabled = true;
  try {
    const asked = await erase(`/v1/users/${user(id)}`);
    drop(id);
    const done = await receipt(id, asked.request_id);
    if (id !== shopper()) return;
    if (!done) return say("Your request stands, and not every keeper has answered yet.");
    draw(id, null, new Map());
    const removed = Object.entries(done.removed).filter(([, count]) => count).map(([what, count]) => `${what.replaceAll("_", " ")} ${count}`).join(", ");
    $("about-body").append(make("p", { class: "small" }, `Erased: ${removed || "nothing was there"}. Receipt ${done.request_id}.`));
    say("Erased. The shop knows nothing about you.");
    $("about-title").focus();
  } catch (error) {
    say(`It could not be erased. ${error.message}`, true);
  } finally {
    $("erase-yes").disabled = false;
    $("erase-sure").hidden = true;
  }
}

/** The keepers answer within a second or so; they are asked a few times, not for ever. */
async function receipt(id, requestId) {
  let isKnown = true;
  for (const pause of LOOK_MS) {
    await new Promise((done) => setTimeout(done, pause));
    isKnown = isKnown && (await get(`/shop/known/${user(id)}`).catch(() => ({ known: true }))).known;
    const found = isKnown ? null : await get(`/v1/erasures/${user(requestId)}`);
    if (found?.is_done) return found;
  }
  return null;
}
