import assert from "node:assert/strict";
import { test } from "node:test";
import { waysOf, writeState, wrongWith } from "./edit.js";

/**
 * A thread whose graph treats each value by a reducer, as LangGraph's channels do.
 * @param {Record<string, any>} stored
 * @param {Record<string, (one: any, other: any) => any>} reducers
 */
function thread(stored, reducers) {
  const written = /** @type {any[]} */ ([]);
  const updateState = async (/** @type {string} */ _, /** @type {any} */ { values }) => {
    const after = { ...stored };
    for (const [name, value] of Object.entries(values)) {
      const reduce = reducers[name];
      after[name] = !reduce ? value : value?.__overwrite__ !== undefined ? value.__overwrite__ : reduce(stored[name], value);
    }
    written.push(after);
    return { checkpoint: { checkpoint_id: String(written.length) } };
  };
  const getState = async (/** @type {string} */ _, /** @type {any} */ { checkpoint_id }) => ({ values: written[checkpoint_id - 1] });
  return { written, client: { threads: { updateState, getState } } };
}

const append = (/** @type {any[]} */ one, /** @type {any[]} */ other) => [...one, ...other];

test("only what was changed is written, once", async () => {
  const { client, written } = thread({ a: 1, b: 2 }, {});
  const { checkpoint, other } = await writeState(client, "t", {}, { a: 1, b: 2 }, { a: 1, b: 3 });
  assert.deepEqual([checkpoint, other, written], [{ checkpoint_id: "1" }, [], [{ a: 1, b: 3 }]]);
});

test("a list to which the graph adds is replaced, and so is one that it does not add to", async () => {
  for (const reducers of /** @type {Record<string, any>[]} */ ([{ log: append }, {}])) {
    const { client, written } = thread({ log: ["a", "b"] }, reducers);
    const { other } = await writeState(client, "t", {}, { log: ["a", "b"] }, { log: ["b"] });
    assert.deepEqual([other, written.at(-1)], [[], { log: ["b"] }]);
  }
});

test("a number that the graph adds up becomes what was typed", async () => {
  const { client, written } = thread({ sum: 3 }, { sum: (one, other) => one + other });
  await writeState(client, "t", {}, { sum: 3 }, { sum: 5 });
  assert.deepEqual(written.at(-1), { sum: 5 });
});

test("what the graph does not let itself be told is named", async () => {
  const { client } = thread({ log: ["a"] }, { log: () => ["always this"] });
  client.threads.updateState = async () => ({ checkpoint: { checkpoint_id: "1" } });
  client.threads.getState = async () => ({ values: { log: ["always this"] } });
  assert.deepEqual((await writeState(client, "t", {}, { log: ["a"] }, { log: ["b"] })).other, ["log"]);
});

test("messages are put in place of all that were there", () => {
  const [one, two] = [{ type: "human", content: "a", id: "1" }, { type: "ai", content: "b", id: "2" }];
  assert.deepEqual(waysOf([one, two], [two])[0], [{ type: "remove", id: "__remove_all__", content: "" }, two]);
});

test("an error that is not about the values is raised at once", async () => {
  let asked = 0;
  const { client } = thread({}, {});
  client.threads.updateState = async () => {
    asked += 1;
    throw Object.assign(new Error("busy"), { status: 409 });
  };
  await assert.rejects(writeState(client, "t", {}, { log: [] }, { log: ["b"] }), /busy/);
  assert.equal(asked, 1);
});

test("what LangGraph says to programmers is said to people", async () => {
  const { client } = thread({}, {});
  client.threads.updateState = async () => {
    throw Object.assign(new Error('HTTP 400: {"detail":"Ambiguous update, specify as_node"}'), { status: 400 });
  };
  await assert.rejects(writeState(client, "t", {}, { log: [] }, { log: ["b"] }), /side by side/);
});

test("an edit that cannot be written says why", () => {
  assert.match(wrongWith({ a: 1 }, [1]), /JSON object/);
  assert.match(wrongWith({ a: 1, b: 2 }, { a: 2 }), /only emptied: b/);
  assert.match(wrongWith({ a: 1 }, { a: 1 }), /Nothing/);
  assert.equal(wrongWith({ a: 1 }, { a: 2 }), "");
});
