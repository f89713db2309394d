/* What the office asks of its server, with the operator's key where one is wanted. */
const KEY = "endcap.office.key";

export const key = () => sessionStorage.getItem(KEY) ?? "";
export const keepKey = (value) => sessionStorage.setItem(KEY, value);
export const forgetKey = () => sessionStorage.removeItem(KEY);

export const get = (path) => ask(path, {});
export const post = (path, body) => ask(path, {
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
});

async function ask(path, options) {
  const headers = { Accept: "application/json", ...options.headers };
  if (key()) headers.Authorization = `Bearer ${key()}`;
  let answer;
  try {
    answer = await fetch(`/office/data/${path}`, { ...options, headers });
  } catch {
    throw Object.assign(new Error("The server does not answer. Is endcap serve running?"), { status: 0 });
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw Object.assign(new Error(body.detail || `The server answered ${answer.status}.`), { status: answer.status });
}
