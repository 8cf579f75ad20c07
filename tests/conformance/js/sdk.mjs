// Every method of the SDK against a live server: `node sdk.mjs sdk1|sdk2 URL BREAKING_URL`.
// Prints a JSON line per check: its name, what went wrong if anything did, its HTTP calls and how long it took.
// A line {"break": "worker"} asks whoever started this to kill the server's worker, {"break": "connection"} to cut those of
// BREAKING_URL. The API key comes from the environment.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import WebSocket from "ws";

const [which, apiUrl, breakingUrl] = process.argv.slice(2);
const { Client } = await import(which);
const newest = which === "sdk1";
const connect = (apiUrl) => new Client({ apiUrl, apiKey: process.env.LANGGRAPH_API_KEY || null });
const client = connect(apiUrl);
// The SDK opens no socket for a client that has headers of its own, a key among them; there the socket carries it.
const keyless = new Client({ apiUrl, apiKey: null });
const { assistants, threads, runs, crons, store } = client;

let calls = [];
const fetch = globalThis.fetch;
globalThis.fetch = async (resource, init) => {
  const method = init?.method ?? "GET";
  const path = new URL(resource.url ?? resource).pathname;
  const answer = await fetch(resource, init);
  calls.push([method, path, answer.status]);
  return answer;
};

process.on("unhandledRejection", (error) => say({ check: "nothing fails unseen", error: String(error?.stack ?? error), calls }));

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function check(name, body) {
  calls = [];
  let error = null;
  const began = Date.now();
  try {
    await body();
  } catch (thrown) {
    error = String(thrown?.stack ?? thrown);
  }
  say({ check: name, error, calls, seconds: (Date.now() - began) / 1000 });
}

async function collect(stream, until = () => false) {
  const parts = [];
  for await (const part of stream) {
    parts.push(part);
    if (until(part, parts)) break;
  }
  return parts;
}

const fails = (status, promise) => assert.rejects(promise, (error) => error.status === status || String(error.message).includes(String(status)));
const eventually = async (condition, what) => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};
const newThread = async (fields) => (await threads.create(fields)).thread_id;
const talk = (text) => ({ messages: [{ type: "human", content: text }] });
const unknown = randomUUID();

// ---- assistants

await check("assistants: create, get, update, versions, latest, delete", async () => {
  const made = await assistants.create({ graphId: "echo", name: "mine", metadata: { m: which }, config: { configurable: { a: 1 } }, description: "d" });
  assert.deepEqual([made.graph_id, made.name, made.version, made.description], ["echo", "mine", 1, "d"]);
  assert.deepEqual(await assistants.get(made.assistant_id), made);
  const again = await assistants.create({ graphId: "echo", assistantId: made.assistant_id, ifExists: "do_nothing" });
  assert.equal(again.name, "mine");
  await fails(409, assistants.create({ graphId: "echo", assistantId: made.assistant_id }));
  const changed = await assistants.update(made.assistant_id, { name: "renamed", metadata: { n: 1 } });
  assert.deepEqual([changed.version, changed.name, changed.metadata.m, changed.metadata.n], [2, "renamed", which, 1]);
  const versions = await assistants.getVersions(made.assistant_id);
  assert.deepEqual(versions.map((each) => each.version), [2, 1]);
  assert.equal((await assistants.setLatest(made.assistant_id, 1)).name, "mine");
  const told = await runs.wait(null, made.assistant_id, { input: {} });
  assert.equal(told.told.configurable.a, 1);
  await assistants.delete(made.assistant_id, { deleteThreads: true });
  await fails(404, assistants.get(made.assistant_id));
});

await check("assistants: search and count, page by page", async () => {
  const metadata = { page: randomUUID() };
  for (const name of ["one", "two", "three"]) await assistants.create({ graphId: "chat", name, metadata });
  assert.equal(await assistants.count({ metadata, graphId: "chat" }), 3);
  const page = await assistants.search({ metadata, limit: 2, sortBy: "name", sortOrder: "asc", includePagination: true });
  assert.deepEqual([page.assistants.map((each) => each.name), page.next], [["one", "three"], "2"]);
  const rest = await assistants.search({ metadata, limit: 2, offset: 2, sortBy: "name", sortOrder: "asc", includePagination: true });
  assert.deepEqual([rest.assistants.map((each) => each.name), rest.next], [["two"], null]);
  const few = await assistants.search({ metadata, name: "tw", select: ["assistant_id", "name"] });
  assert.deepEqual(few.map((each) => Object.keys(each).sort()), [["assistant_id", "name"]]);
  for (const each of await assistants.search({ metadata })) await assistants.delete(each.assistant_id);
});

await check("assistants: schemas, graph, subgraphs", async () => {
  const [nested] = await assistants.search({ graphId: "nested", metadata: { created_by: "system" } });
  const schemas = await assistants.getSchemas(nested.assistant_id);
  assert.ok(schemas.graph_id === "nested" && schemas.state_schema.properties.log);
  const shallow = await assistants.getGraph(nested.assistant_id);
  assert.ok(shallow.nodes.some((node) => node.id === "child") && shallow.edges.length > 0);
  const deep = await assistants.getGraph(nested.assistant_id, { xray: true });
  assert.ok(deep.nodes.some((node) => String(node.id) === "child:inner"), JSON.stringify(deep.nodes));
  assert.deepEqual(Object.keys(await assistants.getSubgraphs(nested.assistant_id)), ["child"]);
  assert.deepEqual(Object.keys(await assistants.getSubgraphs(nested.assistant_id, { namespace: "child", recurse: true })), ["child"]);
});

await check("assistants: errors", async () => {
  await fails(404, assistants.get(unknown));
  await fails(422, assistants.get("nope"));
  await fails(404, assistants.create({ graphId: "nope" }));
  await fails(404, assistants.update(unknown, { name: "x" }));
  await fails(404, assistants.delete(unknown));
});

// ---- threads

await check("threads: create, get, update, delete", async () => {
  const threadId = randomUUID();
  const made = await threads.create({ threadId, metadata: { m: 1 }, graphId: "steps", ttl: 60 });
  assert.deepEqual([made.thread_id, made.status, made.metadata.m, made.metadata.graph_id], [threadId, "idle", 1, "steps"]);
  assert.equal((await threads.create({ threadId, ifExists: "do_nothing" })).metadata.m, 1);
  await fails(409, threads.create({ threadId }));
  const read = await threads.get(threadId, newest ? { include: ["ttl"] } : undefined);
  assert.equal(read.thread_id, threadId);
  if (newest) assert.ok(read.ttl, "the time to live was asked for");
  const changed = await threads.update(threadId, { metadata: { n: 2 }, ttl: { ttl: 30, strategy: "delete" } });
  assert.deepEqual([changed.metadata.m, changed.metadata.n], [1, 2]);
  if (newest) assert.equal(await threads.update(threadId, { metadata: { n: 3 }, returnMinimal: true }), undefined);
  await threads.delete(threadId);
  await fails(404, threads.get(threadId));
});

await check("threads: created with a past", async () => {
  const threadId = await newThread({
    graphId: "steps",
    supersteps: [
      { updates: [{ values: {}, asNode: "__input__" }] },
      { updates: [{ values: { done: ["one"] }, asNode: "one" }] },
    ],
  });
  const state = await threads.getState(threadId);
  assert.deepEqual([state.values.done, state.next], [["one"], ["two"]]);
  assert.equal((await threads.getHistory(threadId)).length >= 2, true);
});

await check("threads: search and count", async () => {
  const metadata = { search: randomUUID() };
  const ids = [];
  for (const number of [1, 2, 3]) ids.push(await newThread({ metadata: { ...metadata, number } }));
  await runs.wait(ids[0], "steps", { input: {} });
  assert.equal(await threads.count({ metadata }), 3);
  const newestFirst = await threads.search({ metadata, sortBy: "created_at", sortOrder: "desc", limit: 2 });
  assert.deepEqual(newestFirst.map((each) => each.thread_id), [ids[2], ids[1]]);
  const byIds = await threads.search({ ids: [ids[1]], select: ["thread_id", "status"] });
  assert.deepEqual(byIds, [{ thread_id: ids[1], status: "idle" }]);
  const byValues = await threads.search({ metadata, values: { done: ["one", "two", "three", "four"] }, status: "idle" });
  assert.deepEqual(byValues.map((each) => each.thread_id), [ids[0]]);
  if (newest) {
    const [extracted] = await threads.search({ ids: [ids[0]], extract: { first: "values.done[0]" } });
    assert.deepEqual(extracted.extracted, { first: "one" });
  }
});

await check("threads: copy and prune", async () => {
  const threadId = await newThread();
  await runs.wait(threadId, "steps", { input: {} });
  const copy = await threads.copy(threadId);
  assert.notEqual(copy.thread_id, threadId);
  const [before, after] = [await threads.getHistory(threadId), await threads.getHistory(copy.thread_id)];
  assert.deepEqual(after.map((each) => each.values), before.map((each) => each.values));
  assert.deepEqual(await runs.list(copy.thread_id), []);
  if (!newest) return;
  assert.deepEqual(await threads.prune([copy.thread_id], { strategy: "keep_latest" }), { pruned_count: 1 });
  assert.equal((await threads.getHistory(copy.thread_id)).length, 1);
  assert.deepEqual(await threads.prune([copy.thread_id], { strategy: "delete" }), { pruned_count: 1 });
  await fails(404, threads.get(copy.thread_id));
});

await check("threads: state, history and edits", async () => {
  const threadId = await newThread();
  await runs.wait(threadId, "asking", { input: {} });
  const head = await threads.getState(threadId, undefined, { subgraphs: true });
  assert.deepEqual([head.next, head.values.log], [["ask"], ["before"]]);
  for (const named of [head.checkpoint.checkpoint_id, head.checkpoint]) {
    const same = await threads.getState(threadId, named);
    assert.deepEqual([same.values, same.next, same.tasks], [head.values, head.next, head.tasks]);
    assert.equal(same.checkpoint.checkpoint_id, head.checkpoint.checkpoint_id);
  }
  const edited = await threads.updateState(threadId, { values: { log: ["edited"] }, asNode: "ask" });
  assert.notEqual(edited.configurable.checkpoint_id, head.checkpoint.checkpoint_id);
  assert.deepEqual((await threads.getState(threadId)).values.log, ["before", "edited"]);
  const fork = await threads.updateState(threadId, { values: { log: ["forked"] }, checkpoint: head.checkpoint, asNode: "before" });
  assert.ok(fork.configurable.checkpoint_id);
  const history = await threads.getHistory(threadId, { limit: 100 });
  assert.ok(history.length >= 4 && history[0].checkpoint.checkpoint_id === fork.configurable.checkpoint_id);
  const earlier = await threads.getHistory(threadId, { before: { configurable: { checkpoint_id: head.checkpoint.checkpoint_id } } });
  assert.ok(earlier.length > 0 && earlier.every((each) => each.checkpoint.checkpoint_id < head.checkpoint.checkpoint_id));
  assert.equal((await threads.getHistory(threadId, { metadata: { source: "update" } })).length, 2);
});

await check("threads: errors", async () => {
  await fails(404, threads.get(unknown));
  await fails(422, threads.get("nope"));
  await fails(404, threads.getState(unknown));
  await fails(409, threads.copy(unknown));
  await fails(405, threads.patchState(await newThread(), { m: 1 }));
  await fails(400, threads.updateState(await newThread({ graphId: "steps" }), { values: {}, asNode: "zz" }));
});

await check("threads: follow whatever runs on one", async () => {
  const threadId = await newThread();
  const aborted = new AbortController();
  const following = (async () => {
    const seen = [];
    try {
      for await (const part of threads.joinStream(threadId, { streamMode: "run_modes", lastEventId: "0-0", signal: aborted.signal })) {
        seen.push(part);
        if (part.data?.status === "run_done") break;
      }
    } finally {
      aborted.abort();
    }
    return seen;
  })();
  following.catch(() => {});
  const run = await runs.create(threadId, "steps", { input: { pause: 0.1 }, streamMode: "updates" });
  const seen = await following;
  assert.equal(seen.at(-1).data.run_id, run.run_id);
  assert.ok(seen.filter((part) => part.event === "updates").length === 4 && seen.every((part) => part.id));
});

// ---- runs

await check("runs: stream, wait and list", async () => {
  const threadId = await newThread();
  let created;
  const parts = await collect(runs.stream(threadId, "talking", {
    input: talk("count 4 0"), streamMode: ["values", "updates", "messages-tuple", "custom"], metadata: { m: 1 },
    onRunCreated: (told) => (created = told),
  }));
  assert.equal(parts[0].event, "metadata");
  assert.deepEqual(created, { run_id: parts[0].data.run_id, thread_id: threadId });
  const tokens = parts.filter((part) => part.event === "messages" && part.data[0].type === "AIMessageChunk");
  assert.ok(tokens.map((part) => part.data[0].content).join("").startsWith("w0 w1 w2 w3"), "tokens one by one");
  const [run] = await runs.list(threadId, { limit: 1, status: "success" });
  assert.equal(run.run_id, created.run_id);
  assert.deepEqual(await runs.get(threadId, run.run_id), run);
  assert.deepEqual(await runs.list(threadId, { select: ["run_id", "status"] }), [{ run_id: run.run_id, status: "success" }]);
  const values = await runs.wait(threadId, "talking", { input: talk("count 2 0"), durability: "exit" });
  assert.equal(values.messages.length, 4);
});

await check("runs: on threads of their own", async () => {
  const parts = await collect(runs.stream(null, "steps", { input: {}, streamMode: "updates" }));
  assert.equal(parts.filter((part) => part.event === "updates").length, 4);
  assert.deepEqual((await runs.wait(null, "steps", { input: {} })).done, ["one", "two", "three", "four"]);
  const run = await runs.create(null, "steps", { input: { pause: 0.1 } });
  const rest = await collect(runs.joinStream(null, run.run_id, { lastEventId: "-1" }));
  assert.equal(rest[0].event, "metadata");
  const batch = await runs.createBatch([{ assistantId: "steps", input: {} }, { assistantId: "chat", input: talk("hi") }]);
  assert.equal(new Set(batch.map((each) => each.run_id)).size, 2);
});

await check("runs: create, join, join the stream, come back after an id", async () => {
  const threadId = await newThread();
  const run = await runs.create(threadId, "steps", { input: { pause: 0.05 }, streamMode: ["values", "updates"], streamResumable: true });
  const all = await collect(runs.joinStream(threadId, run.run_id, { lastEventId: "-1", streamMode: ["updates"] }));
  assert.deepEqual(all.map((part) => part.event).filter((name) => name !== "metadata"), Array(4).fill("updates"));
  assert.deepEqual((await runs.join(threadId, run.run_id)).done, ["one", "two", "three", "four"]);
  const again = await collect(runs.joinStream(threadId, run.run_id, { lastEventId: "-1" }));
  const rest = await collect(runs.joinStream(threadId, run.run_id, { lastEventId: again[3].id }));
  assert.deepEqual(rest, again.slice(4));
  await runs.delete(threadId, run.run_id);
  await fails(404, runs.get(threadId, run.run_id));
});

await check("runs: interrupt and resume", async () => {
  const threadId = await newThread();
  const asked = await runs.wait(threadId, "asking", { input: {} });
  assert.deepEqual(asked.__interrupt__.map((each) => each.value), [{ question: "ok?" }]);
  assert.equal((await threads.get(threadId)).status, "interrupted");
  const resumed = await runs.wait(threadId, "asking", { command: { resume: "yes" } });
  assert.deepEqual(resumed.log, ["before", "yes"]);
});

await check("runs: breakpoints, forks, subgraphs", async () => {
  const threadId = await newThread();
  await runs.wait(threadId, "steps", { input: {}, interruptBefore: ["three"] });
  const head = await threads.getState(threadId);
  assert.deepEqual(head.next, ["three"]);
  const { checkpoint } = (await threads.getHistory(threadId)).find((each) => each.next[0] === "two");
  const forked = await runs.wait(threadId, "steps", { input: null, checkpoint });
  assert.deepEqual(forked.done, ["one", "two", "three", "four"]);
  const parts = await collect(runs.stream(null, "nested", { input: { log: [] }, streamMode: "updates", streamSubgraphs: true }));
  assert.ok(parts.some((part) => part.event.startsWith("updates|child:")), parts.map((part) => part.event).join());
});

await check("runs: cancel, cancel many", async () => {
  const threadId = await newThread();
  const slow = () => runs.create(threadId, "steps", { input: { pause: 20 } });
  const first = await slow();
  await runs.cancel(threadId, first.run_id);
  await eventually(async () => (await runs.get(threadId, first.run_id)).status === "interrupted", "the first to stop");
  const second = await slow();
  await runs.cancel(threadId, second.run_id, true, "rollback");
  await fails(404, runs.get(threadId, second.run_id));
  if (!newest) return;
  const [third, fourth] = [await slow(), await slow()];
  await runs.cancelMany({ threadId, runIds: [third.run_id, fourth.run_id], action: "interrupt" });
  await eventually(async () => (await threads.get(threadId)).status !== "busy", "both to stop");
});

await check("runs: multitask strategies", async () => {
  const threadId = await newThread();
  const slow = { input: { pause: 20 } };
  const first = await runs.create(threadId, "steps", slow);
  await fails(409, runs.create(threadId, "steps", { multitaskStrategy: "reject", input: {} }));
  const values = await runs.wait(threadId, "steps", { multitaskStrategy: "interrupt", input: { pause: 0 } });
  assert.equal(values.done.at(-1), "four");
  assert.equal((await runs.get(threadId, first.run_id)).status, "interrupted");
  const second = await runs.create(threadId, "steps", slow);
  await runs.wait(threadId, "steps", { multitaskStrategy: "rollback", input: { pause: 0 } });
  await fails(404, runs.get(threadId, second.run_id));
  const queued = await runs.create(threadId, "steps", { multitaskStrategy: "enqueue", input: {}, afterSeconds: 0 });
  assert.equal((await runs.join(threadId, queued.run_id)).done.at(-1), "four");
});

await check("runs: a graph that fails", async () => {
  const threadId = await newThread();
  const parts = await collect(runs.stream(threadId, "faulty", { input: { kind: "told" } }));
  assert.deepEqual(parts.at(-1).data, { error: "ValueError", message: "boom happened" });
  await assert.rejects(runs.wait(threadId, "faulty", { input: { kind: "told" } }), /boom happened/);
});

await check("runs: errors", async () => {
  await fails(404, runs.create(unknown, "steps", { input: {} }));
  await fails(404, runs.get(await newThread(), unknown));
  await fails(422, runs.create(await newThread(), "no such graph", { input: {} }));
  await fails(422, runs.createBatch([]));
});

await check("runs: a stream outlives its worker and its connection", async () => {
  const threadId = await newThread();
  const seen = [];
  const broken = [];
  const stream = connect(breakingUrl).runs.stream(threadId, "steps", {
    input: { pause: 1 }, streamMode: ["updates"], streamResumable: true, onDisconnect: "continue",
  });
  for await (const part of stream) {
    seen.push(part);
    if (part.event !== "updates" || broken.length === 2) continue;
    // A step is told before it is kept, and one that was not kept is done again: only what is kept is told once.
    const done = broken.length + 1;
    await eventually(async () => (await threads.getState(threadId)).values.done?.length >= done, "the step to be kept");
    broken.push(["worker", "connection"][broken.length]);
    say({ break: broken.at(-1) });
  }
  assert.deepEqual(broken, ["worker", "connection"]);
  const steps = seen.filter((part) => part.event === "updates").map((part) => Object.keys(part.data)[0]);
  assert.deepEqual(steps, ["one", "two", "three", "four"]);
  const ids = seen.filter((part) => part.event).map((part) => part.id); // 2.0.0 hands heartbeats over, as parts of nothing
  assert.equal(new Set(ids).size, ids.length, "nothing twice");
  assert.ok(calls.some(([method, path]) => method === "GET" && path.endsWith("/stream")), "it came back");
});

// ---- crons

const yearly = "0 0 1 1 *";

await check("crons: create, update, search, count, delete", async () => {
  const metadata = { crons: randomUUID() };
  const threadId = await newThread();
  const made = await crons.create("steps", { schedule: yearly, input: { pause: 0 }, metadata, onRunCompleted: "keep" });
  const onThread = await crons.createForThread(threadId, "steps", { schedule: yearly, metadata });
  assert.deepEqual([made.schedule, made.enabled, made.on_run_completed, onThread.thread_id], [yearly, true, "keep", threadId]);
  const changed = await crons.update(made.cron_id, { schedule: "0 0 2 1 *", enabled: false });
  assert.deepEqual([changed.schedule, changed.enabled], ["0 0 2 1 *", false]);
  assert.deepEqual((await crons.search({ threadId })).map((each) => each.cron_id), [onThread.cron_id]);
  assert.equal(await crons.count({ threadId }), 1);
  if (newest) {
    assert.equal(await crons.count({ metadata }), 2);
    const disabled = await crons.search({ metadata, enabled: false, select: ["cron_id"], sortBy: "created_at", sortOrder: "asc" });
    assert.deepEqual(disabled, [{ cron_id: made.cron_id }]);
  }
  for (const each of [made, onThread]) await crons.delete(each.cron_id);
  await fails(404, crons.delete(made.cron_id));
});

await check("crons: errors", async () => {
  await fails(422, crons.create("steps", { schedule: "whenever" }));
  await fails(404, crons.createForThread(unknown, "steps", { schedule: yearly }));
  await fails(404, crons.update(unknown, { enabled: false }));
  if (newest) await fails(422, crons.create("steps", { schedule: yearly, timezone: "Nowhere/Land" }));
});

// ---- store

await check("store: put, get, search, namespaces, delete", async () => {
  const space = ["conformance", randomUUID()];
  for (const number of [1, 2, 3]) await store.putItem(space, `k${number}`, { number, odd: number % 2 === 1 });
  const item = await store.getItem(space, "k1");
  assert.deepEqual([item.namespace, item.key, item.value, !!item.createdAt], [space, "k1", { number: 1, odd: true }, true]);
  await store.putItem(space, "k1", { number: 10, odd: true }, { ttl: 60, index: false });
  assert.equal((await store.getItem(space, "k1", { refreshTtl: true })).value.number, 10);
  const found = await store.searchItems(space, { filter: { odd: true }, limit: 10 });
  assert.deepEqual(found.items.map((each) => each.key).sort(), ["k1", "k3"]);
  const spaces = await store.listNamespaces({ prefix: ["conformance"], suffix: [space[1]], maxDepth: 2 });
  assert.deepEqual(spaces.namespaces, [space]);
  await store.deleteItem(space, "k1");
  assert.equal(await store.getItem(space, "k1"), null);
  for (const each of ["k2", "k3"]) await store.deleteItem(space, each);
});

await check("store: errors", async () => {
  await fails(400, store.putItem([], "k", {}));
  await fails(422, store.putItem(["a"], "k", [1]));
});

// ---- protocol v2, which only the newest SDK speaks

if (newest) {
  for (const transport of ["sse", "websocket"]) {
    await check(`v2 over ${transport}: start, tokens, interrupt, respond`, async () => {
      const opener = transport === "websocket" ? keyless.threads : threads;
      const thread = opener.stream({ assistantId: "talking", transport, ...socketOptions(transport) });
      try {
        const texts = (async () => {
          for await (const message of thread.messages) return await collect(message.text);
        })();
        const { run_id: runId } = await thread.run.start({ input: talk("count 4 0.05") });
        const pieces = await texts;
        assert.ok(pieces.length >= 3 && pieces.join("").startsWith("w0 w1 w2 w3"), JSON.stringify(pieces));
        await thread.output;
        await eventually(async () => (await runs.get(thread.threadId, runId)).status === "success", "the end of the run");
        await thread.run.start({ input: talk("ask") });
        await eventually(async () => thread.interrupts.length === 1, "the question");
        const [asked] = thread.interrupts;
        assert.deepEqual(asked.payload, { question: "ok?" });
        await thread.input.respond({ namespace: asked.namespace, interrupt_id: asked.interruptId, response: "yes" });
        await eventually(async () => (await threads.get(thread.threadId)).status === "idle", "the resumed run's end");
        const { values } = await threads.getState(thread.threadId);
        assert.match(JSON.stringify(values.messages.at(-1).content), /heard yes/);
      } finally {
        await thread.close();
      }
    });
  }

  await check("v2: errors", async () => {
    const thread = threads.stream({ assistantId: unknown });
    try {
      await assert.rejects(thread.run.start({ input: {} }));
      await assert.rejects(thread.input.respond({ namespace: [], interrupt_id: "zz", response: 1 }), /interrupt|has asked/i);
    } finally {
      await thread.close();
    }
  });
}

function socketOptions(transport) {
  // A server's client says its key in a header; a browser has its cookie instead.
  const headers = process.env.LANGGRAPH_API_KEY ? { "x-api-key": process.env.LANGGRAPH_API_KEY } : {};
  const webSocketFactory = (url) => {
    calls.push(["GET", new URL(url).pathname, 101]);
    return new WebSocket(url, { headers });
  };
  return transport === "websocket" ? { webSocketFactory } : {};
}
