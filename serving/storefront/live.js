/* The shopper's list, now and whenever it is written: server-sent events. */
import { get, user } from "./api.js";

const AGAIN_MS = 30000;
let source = null;
let hearing = 0;

/** Calls `onList` with each list of this shopper, and `onLost` while none can be heard of. */
export function follow(id, onList, onLost) {
  stop();
  const mine = ++hearing;
  source = new EventSource(`/shop/updates/${user(id)}`);
  source.addEventListener("list", (event) => mine === hearing && onList(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (mine !== hearing) return;
    onLost();
    // The browser tries again by itself, unless the server has sent it away.
    if (source.readyState !== EventSource.CLOSED) return;
    look(id, onList);
    setTimeout(() => mine === hearing && follow(id, onList, onLost), AGAIN_MS);
  });
}

/** Ask once: where updates are lost, after a click. */
export async function look(id, onList) {
  const mine = hearing;
  try {
    const list = await get(`/shop/list/${user(id)}`);
    if (mine === hearing) onList({ ...list, is_live: false });
  } catch { /* the page says already that updates are lost */ }
}

export function stop() {
  hearing += 1;
  source?.close();
  source = null;
}
addEventListener("pagehide", stop);
