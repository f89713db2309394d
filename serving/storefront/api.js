/* What the page asks of its server. */
export async function get(path) {
  return answered(await fetch(path, { headers: { Accept: "application/json" } }));
}

export async function erase(path) {
  return answered(await fetch(path, { method: "DELETE" }));
}

async function post(path, body) {
  return answered(await fetch(path, { method: "POST", body: JSON.stringify(body) }));
}

async function answered(answer) {
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw Object.assign(new Error(body.detail || `The server answered ${answer.status}.`), { status: answer.status });
}

export const user = (id) => encodeURIComponent(id);

/** An event, as docs/events.md has it. Sent once more after a moment: its id makes a repeat harmless. */
export async function send(userId, name, items, more = {}) {
  const event = {
    event_id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`,
    user_id: userId,
    event_name: name,
    timestamp_ms: Date.now(),
    items: items.map(({ id, price, quantity }) => ({
      item_id: id,
      ...(price == null ? {} : { price }),
      ...(quantity ? { quantity } : {}),
    })),
    ...more,
  };
  try {
    await post("/v1/events", event);
  } catch (error) {
    if (error.status && error.status !== 503) throw error;
    await new Promise((done) => setTimeout(done, 1000));
    await post("/v1/events", event);
  }
}

/** What was shown or clicked; nobody waits for it. */
export function beacon(impression) {
  navigator.sendBeacon?.("/v1/impressions", JSON.stringify(impression));
}
