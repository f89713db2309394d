/** What the client promises, on a real Valkey and a real cluster, which tests/ of endcap start. */

import assert from "node:assert/strict";
import { createServer, type AddressInfo, type Server } from "node:net";
import { after, before, test } from "node:test";

import { createClient, createCluster } from "redis";

import {
  Client,
  ListsUnavailableError,
  type Observation,
  type Options,
  ReadRefusedError,
  RequestError,
  UnreadableValueError,
} from "../src/index.js";

const URL_OF_ONE = named("ENDCAP_TEST_VALKEY");
const READER = named("ENDCAP_TEST_READER");
const CLUSTER = named("ENDCAP_TEST_CLUSTER").split(",");
const CLUSTER_PIDS = named("ENDCAP_TEST_CLUSTER_PIDS").split(",").map(Number);
const PATIENT: Options = { timeoutMs: 5000, deadlineMs: 30_000 };

const raw = createClient({ url: URL_OF_ONE });
const seen: Observation[] = [];
const observe = (read: Observation) => seen.push(read);
const shop = Client.connect(URL_OF_ONE, { ...PATIENT, observe });

before(async () => {
  await raw.connect();
});
after(() => {
  shop.close();
  raw.destroy();
});

function named(name: string): string {
  const value = process.env[name];
  assert.ok(value, `set ${name}: tests/integration/test_typescript_client.py does`);
  return value;
}

function aList(...ids: string[]): string {
  const items = ids.map((id) => ({ id, score: 0.5, reason: "why" }));
  return JSON.stringify({ version: 7, model: "m", generated_at: 5, items });
}

const LISTS = {
  "endcap:rec:{ann}": aList("own-1", "own-2"),
  "endcap:rec:{none-left}": aList(),
  "endcap:similar:{milk}": aList("bread"),
  "endcap:trending:Dairy": aList("cheese"),
  "endcap:trending:store:12": aList("local"),
  "endcap:trending": aList("tea", "milk"),
};
const MILK = { title: "Whole milk", category: "Dairy", department: "", price: "1.19", in_stock: "1" };
const TEA = { title: "Green tea", category: "", department: "", price: "", in_stock: "0" };

async function fill(): Promise<void> {
  await raw.flushAll();
  await raw.mSet(LISTS);
  await raw.hSet("endcap:item:{milk}", MILK);
  await raw.hSet("endcap:item:{tea}", TEA);
  seen.length = 0;
}

const WHOLE = { lastItem: "milk", category: "Dairy" };
const CHAIN: [string | undefined, object, string, string[]][] = [
  ["ann", WHOLE, "own", ["own-1", "own-2"]],
  ["bob", WHOLE, "similar", ["bread"]],
  ["none-left", WHOLE, "similar", ["bread"]],
  ["bob", { lastItem: "?", category: "Dairy" }, "category", ["cheese"]],
  ["bob", { lastItem: "?", category: "?" }, "trending", ["tea", "milk"]],
  [undefined, { category: "Dairy" }, "category", ["cheese"]],
  [undefined, {}, "trending", ["tea", "milk"]],
  ["ann", { size: 1 }, "own", ["own-1"]],
  [undefined, { category: "store:12" }, "trending", ["tea", "milk"]],
];

test("the first list of the chain with items is the answer", async () => {
  await fill();
  for (const [user, where, source, ids] of CHAIN) {
    const answer = await shop.recommend(user, where);
    assert.deepEqual([answer.source, answer.items.map(({ id }) => id)], [source, ids]);
    assert.deepEqual([answer.version, answer.model, answer.generatedAt], [7, "m", 5]);
    assert.equal(answer.problem, "");
  }
});

test("a list of an experiment says what an impression must", async () => {
  await fill();
  const item = { id: "tea", score: 0.5, reason: "why", propensity: 0.05 };
  const list = { version: 8, model: "m", generated_at: 5, items: [item], variant: "summer=new-model" };
  await raw.set("endcap:rec:{ann}", JSON.stringify(list));
  const answer = await shop.recommend("ann");
  assert.deepEqual([answer.variant, answer.items], ["summer=new-model", [item]]);
  const other = await shop.recommend("bob");
  assert.deepEqual([other.variant, other.items[0]?.propensity], ["", 1]);
});

test("a list, or the facts of a page, cost one round trip", async () => {
  await fill();
  await shop.recommend();
  await raw.configResetStat();
  await shop.recommend("bob", WHOLE);
  await shop.items(["milk", "tea"]);
  const stats = await raw.info("stats");
  // Each packet that arrives is one read of the server; `info` itself is another.
  assert.match(stats, /total_reads_processed:3\r/);
  assert.deepEqual(seen.map(({ tries }) => tries), [1, 1, 1]);
});

test("facts of items are those of the catalogue", async () => {
  await fill();
  assert.deepEqual(
    await shop.items(["milk", "?", "tea"]),
    new Map([
      ["milk", { id: "milk", title: "Whole milk", category: "Dairy", department: "", price: 1.19, inStock: true }],
      ["tea", { id: "tea", title: "Green tea", category: "", department: "", price: null, inStock: false }],
    ]),
  );
  assert.deepEqual(await shop.items([]), new Map());
});

test("a shop without any list gets an empty answer that is no error", async () => {
  await raw.flushAll();
  const answer = await shop.recommend("ann");
  assert.deepEqual([answer.source, answer.items, answer.problem], ["none", [], ""]);
});

test("what cannot be asked is said as an error or in an empty answer", async () => {
  const wrong: [unknown, object, RegExp][] = [
    ["", {}, /user is ""/],
    [7, {}, /user is a number/],
    ["x".repeat(257), {}, /257 characters/],
    ["\ud800", {}, /not text/],
    [undefined, { lastItem: "" }, /lastItem/],
    [undefined, { size: 0 }, /size is 0/],
    [undefined, { size: 1.5 }, /size is 1.5/],
  ];
  for (const [user, where, said] of wrong) {
    await assert.rejects(shop.recommend(user as string, where), said);
    await assert.rejects(shop.recommend(user as string, where), RequestError);
    const answer = await shop.recommendOrNothing(user as string, where);
    assert.equal(answer.source, "none");
    assert.match(answer.problem, said);
  }
  await assert.rejects(shop.items([""]), RequestError);
  assert.equal((await shop.itemsOrNothing([""])).size, 0);
  for (const url of ["", "http://store:80", "store:6379", "redis://store:many/0"]) {
    assert.throws(() => Client.connect(url), RequestError);
  }
  assert.throws(() => Client.connectToCluster([]), RequestError);
  assert.throws(() => Client.connect(URL_OF_ONE, { timeoutMs: 0 }), /timeoutMs is 0/);
});

test("an id may hold any character", async () => {
  await fill();
  for (const user of ["🧀".repeat(256), "{a}b", "a b", "größe", "}", "\0", "*", 'q"']) {
    await raw.set(`endcap:rec:{${user}}`, aList("odd"));
    assert.equal((await shop.recommend(user)).source, "own");
  }
});

test("a value that is no list is passed over and named", async () => {
  await fill();
  for (const broken of ["", "{", "[]", "null", '{"items": [{"id": 7}]}']) {
    await raw.set("endcap:rec:{ann}", broken);
    const answer = await shop.recommend("ann", { lastItem: "milk" });
    assert.equal(answer.source, "similar");
    assert.match(answer.problem, /endcap:rec:\{<user>\} is not one of the contract/);
    assert.doesNotMatch(answer.problem, /ann/);
  }
  await raw.del(["endcap:rec:{ann}", "endcap:trending"]);
  await raw.hSet("endcap:rec:{ann}", "a", "hash");
  await assert.rejects(shop.recommend("ann"), UnreadableValueError);
  assert.match((await shop.recommendOrNothing("ann")).problem, /WRONGTYPE/);
  await raw.hSet("endcap:item:{milk}", "price", "cheap");
  await assert.rejects(shop.items(["milk", "tea"]), UnreadableValueError);
  assert.deepEqual([...(await shop.itemsOrNothing(["milk", "tea"])).keys()], ["tea"]);
});

test("fields that a later endcap adds are no matter", async () => {
  await fill();
  const list = JSON.parse(aList("new")) as object;
  await raw.set("endcap:rec:{ann}", JSON.stringify({ ...list, colour: "red" }));
  assert.equal((await shop.recommend("ann")).source, "own");
});

test("a Redis that is away, or stands still, is asked again and then said", async () => {
  const deaf = createServer(() => {});
  const port = await listening(deaf);
  const gone = createServer(() => {});
  const freed = await listening(gone);
  await new Promise((resolve) => gone.close(resolve));
  try {
    for (const open of [port, freed]) {
      const reads: Observation[] = [];
      const away = Client.connect(`redis://reader:pa55@127.0.0.1:${open}/0`, {
        timeoutMs: 50,
        backoffMs: 1,
        deadlineMs: 30_000,
        observe: (read) => reads.push(read),
      });
      await assert.rejects(away.recommend("ann"), (error: Error) => {
        assert.ok(error instanceof ListsUnavailableError);
        assert.match(error.message, new RegExp(`127.0.0.1:${open}`));
        assert.doesNotMatch(error.message, /pa55/);
        return true;
      });
      assert.equal((await away.recommendOrNothing("ann")).source, "none");
      assert.equal((await away.itemsOrNothing(["milk"])).size, 0);
      assert.deepEqual(new Set(reads.map(({ error, tries }) => `${error} ${tries}`)), new Set(["ListsUnavailableError 3"]));
      away.close();
    }
  } finally {
    deaf.close();
  }
});

test("a connection that was lost costs a reader nothing", async () => {
  await fill();
  await shop.recommend("ann");
  await raw.sendCommand(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => shop.recommend("ann")));
  assert.deepEqual(new Set(answers.map(({ source }) => source)), new Set(["own"]));
});

test("a reader that can only read is enough; a wrong password is refused at once", async () => {
  await fill();
  const reader = Client.connect(READER, PATIENT);
  assert.equal((await reader.recommend("ann")).source, "own");
  assert.equal((await reader.items(["milk"])).size, 1);
  reader.close();
  const reads: Observation[] = [];
  const stranger = Client.connect(READER.replace(/:[^:@]*@/, ":wr0ng@"), {
    ...PATIENT,
    observe: (read) => reads.push(read),
  });
  await assert.rejects(stranger.recommend("ann"), (error: Error) => {
    assert.ok(error instanceof ReadRefusedError);
    assert.doesNotMatch(error.message, /wr0ng/);
    return true;
  });
  assert.deepEqual(reads.map(({ tries }) => tries), [1]);
  stranger.close();
});

test("what a server refuses for other reasons is said so, and is not asked again", async () => {
  const old = createServer((socket) => socket.on("data", () => socket.write("-ERR unknown command\r\n".repeat(8))));
  const reads: Observation[] = [];
  const observe = (read: Observation) => reads.push(read);
  const none = Client.connect(`redis://127.0.0.1:${await listening(old)}`, { ...PATIENT, observe });
  try {
    await assert.rejects(none.recommend("ann"), /refused a read: ERR unknown command/);
    await assert.rejects(none.recommend("ann"), ReadRefusedError);
    assert.deepEqual(reads.map(({ tries }) => tries), [1, 1]);
  } finally {
    none.close();
    old.close();
  }
});

test("a node that stands still costs the readers of the others nothing", async () => {
  const writer = createCluster({ rootNodes: CLUSTER.map((url) => ({ url })) });
  await writer.connect();
  const trending = await nodeOf("endcap:trending");
  const byNode = new Map<number, string>();
  for (let n = 0; byNode.size < CLUSTER.length; n += 1) {
    byNode.set(await nodeOf(`endcap:rec:{moved-${n}}`), `moved-${n}`);
  }
  for (const user of byNode.values()) await writer.set(`endcap:rec:{${user}}`, aList("own"));
  await writer.set("endcap:trending", aList("tea"));
  writer.destroy();
  const [still, sound] = [0, 1, 2].filter((node) => node !== trending) as [number, number];
  const user = (node: number) => byNode.get(node) as string;
  const reads: Observation[] = [];
  const observe = (read: Observation) => reads.push(read);
  const patient = Client.connectToCluster(CLUSTER, { ...PATIENT, timeoutMs: 300, backoffMs: 1, observe });
  assert.equal((await patient.recommend(user(still))).source, "own");
  assert.equal((await patient.recommend(user(sound))).source, "own");
  reads.length = 0;
  const pid = CLUSTER_PIDS[still] as number;
  process.kill(pid, "SIGSTOP");
  try {
    let isOver = false;
    const others = Array.from({ length: 8 }, async () => {
      while (!isOver) assert.equal((await patient.recommend(user(sound))).source, "own");
    });
    const lesser = await patient.recommend(user(still));
    isOver = true;
    await Promise.all(others);
    assert.equal(lesser.source, "trending");
    assert.match(lesser.problem, /did not answer/);
    const tries = (source: string) =>
      new Set(reads.filter((read) => read.source === source).map((read) => read.tries));
    assert.deepEqual([tries("own"), tries("trending")], [new Set([1]), new Set([3])]);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  assert.equal((await patient.recommend(user(still))).source, "own");
  patient.close();
});

test("on a cluster the chain is the same, by a reader that can only read", async () => {
  const writer = createCluster({ rootNodes: CLUSTER.map((url) => ({ url })) });
  await writer.connect();
  for (const [key, value] of Object.entries(LISTS)) await writer.set(key, value);
  await writer.hSet("endcap:item:{milk}", MILK);
  const reads: Observation[] = [];
  const reader = new URL(READER);
  const urls = CLUSTER.map((url) =>
    url.replace("redis://", `redis://${reader.username}:${reader.password}@`),
  );
  const client = Client.connectToCluster(urls, { ...PATIENT, observe: (read) => reads.push(read) });
  for (const [user, where, source, ids] of CHAIN) {
    const answer = await client.recommend(user, where);
    assert.deepEqual([answer.source, answer.items.map(({ id }) => id)], [source, ids]);
  }
  assert.deepEqual([...(await client.items(["milk", "tea"])).keys()], ["milk"]);
  assert.deepEqual(new Set(reads.map(({ tries }) => tries)), new Set([1]));
  client.close();
  writer.destroy();
  const wrong = urls.map((url) => url.replace(/:[^:@]*@/, ":wr0ng@"));
  const stranger = Client.connectToCluster(wrong, PATIENT);
  await assert.rejects(stranger.recommend("ann"), ReadRefusedError);
  stranger.close();
});

/** The place in CLUSTER of the node that holds the key. */
async function nodeOf(key: string): Promise<number> {
  for (const [place, url] of CLUSTER.entries()) {
    const node = createClient({ url });
    await node.connect();
    const isThere = await node.get(key).then(
      () => true,
      () => false, // MOVED
    );
    node.destroy();
    if (isThere) return place;
  }
  throw new Error(`no node holds ${key}`);
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
