/* What the page asks of its server. */
const AWAY = "The shop cannot do this right now. Try again in a moment.";

export async function get(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" } }));
}

export async function erase(path) {
  return answered(await fetch(path, { method: "DELETE" }));
}

export async function post(path, body) {
  return answered(await fetch(path, { method: "POST", body: JSON.stringify(body) }));
}

async function answered(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const said = answer.status === 503 ? AWAY : body.detail || `The server answered ${answer.status}.`;
  throw Object.assign(new Error(said), { status: answer.status });
}

export const user = (id) => encodeURIComponent(id);

/** What was shown or clicked; nobody waits for it. */
export function beacon(impression) {
  navigator.sendBeacon?.("/v1/impressions", JSON.stringify(impression));
}
