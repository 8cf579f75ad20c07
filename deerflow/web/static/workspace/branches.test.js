import assert from "node:assert/strict";
import { test } from "node:test";
import { firstOf, isWhole, legible, lineage, merged, messagesOf, origins } from "./branches.js";

/** @param {string} id @param {string | null} parent @param {string[]} messages @param {string} [run] */
const state = (id, parent, messages, run = "r1") => ({
  checkpoint: { checkpoint_id: id }, parent_checkpoint: parent ? { checkpoint_id: parent } : null, next: [],
  values: { messages: messages.map((each) => ({ id: each })) }, metadata: { run_id: run }, created_at: `at ${id}`,
});

/** Two turns; the second question was edited, and the new one's answer run again. */
const STATES = [
  state("9", "7", ["a", "b", "e", "g"], "r4"),
  state("8", "7", ["a", "b", "e", "f"], "r3"),
  state("7", "6", ["a", "b", "e"], "r3"),
  state("6", "3", ["a", "b"], "r3"),
  state("5", "4", ["a", "b", "c", "d"], "r2"),
  state("4", "3", ["a", "b", "c"], "r2"),
  state("3", "2", ["a", "b"]),
  state("2", "1", ["a"]),
  state("1", null, []),
];
const placesAt = (/** @type {string} */ leaf) => origins(STATES, lineage(STATES, leaf));

test("a line leads from its state back to the first", () => {
  assert.deepEqual(lineage(STATES, "5").map((each) => each.checkpoint.checkpoint_id), ["5", "4", "3", "2", "1"]);
  assert.equal(isWhole(lineage(STATES, "5")), true);
  assert.deepEqual(lineage(STATES, "nobody"), []);
});

test("a message came in where a state has it that its parent has not", () => {
  const places = placesAt("9");
  assert.deepEqual(["a", "b", "e", "g"].map((id) => places.get(id)?.before), ["1", "2", "6", "7"]);
  assert.equal(places.get("g")?.runId, "r4");
  assert.equal(places.has("c"), false, "of another branch");
});

test("the first message behind a fork offers the branches, each by its newest state", () => {
  const places = placesAt("9");
  assert.deepEqual(places.get("e")?.choice, { leaves: ["5", "9"], place: 1 });
  assert.deepEqual(places.get("g")?.choice, { leaves: ["8", "9"], place: 1 });
  assert.deepEqual(placesAt("5").get("c")?.choice, { leaves: ["5", "9"], place: 0 });
  assert.equal(places.get("a")?.choice, undefined);
});

test("of what stands in the oldest state that is known, nobody knows where it came in", () => {
  const known = STATES.slice(0, 4);
  const line = lineage(known, "9");
  assert.equal(isWhole(line), false);
  const places = origins(known, line);
  assert.equal(places.has("a"), false);
  assert.equal(places.get("e")?.before, "6");
});

test("what is read later counts, and order is by age", () => {
  const again = state("8", "7", ["other"]);
  const all = merged(STATES.slice(1), [STATES[0], again]);
  assert.deepEqual(all.map((each) => each.checkpoint.checkpoint_id), ["9", "8", "7", "6", "5", "4", "3", "2", "1"]);
  assert.equal(all[1], again);
});

test("a run begins with its oldest checkpoint", () => {
  assert.equal(firstOf(STATES, "r3")?.checkpoint.checkpoint_id, "6");
  assert.equal(firstOf(STATES, "r9"), undefined);
});

test("what is no message can be shown as one, and stays the same", () => {
  const said = [{ type: "ai", content: "a" }];
  assert.equal(messagesOf({ messages: said }), said);
  const values = { messages: [...said, null, "b", [1]] };
  assert.deepEqual(messagesOf(values).slice(1), [
    { type: "object", content: [null] }, { type: "string", content: ["b"] }, { type: "object", content: [[1]] },
  ]);
  assert.equal(messagesOf(values), messagesOf(values));
  const calling = [{ type: "ai", content: "", tool_calls: [null] }, { type: "ai", content: "", tool_calls: {} }, { type: "ai", content: "", tool_calls: [{ id: "1" }] }];
  assert.deepEqual(messagesOf({ messages: calling }), [{ type: "object", content: [calling[0]] }, { type: "object", content: [calling[1]] }, calling[2]]);
  const odd = { ...state("1", null, []), values };
  assert.deepEqual(legible(odd).values, { messages: messagesOf(values) });
  assert.equal(legible(STATES[0]), STATES[0]);
  assert.deepEqual([messagesOf(null), messagesOf({ messages: "a" })], [[], []]);
  for (const tool_calls of [[null], [1], "calls", { length: 1 }, 7]) {
    const odd = { type: "ai", id: "a", content: "", tool_calls };
    assert.deepEqual(messagesOf({ messages: [odd] }), [{ type: "object", content: [odd] }], "whose calls are none");
  }
});

test("messages that tell their role are told by who says them, and known by their place", () => {
  const call = { id: "c", type: "function", function: { name: "add", arguments: '{"a": 1}' } };
  const broken = { id: "d", type: "function", function: { name: "add", arguments: "{" } };
  const values = { messages: [{ role: "user", content: "a" }, { id: "b", role: "assistant", tool_calls: [call, broken] }, { role: "tool", tool_call_id: "c" }, { role: "critic" }, { x: 1 }] };
  const told = messagesOf(values);
  assert.deepEqual(told.map(({ id, type }) => [id, type]), [["at 0", "human"], ["b", "ai"], ["at 2", "tool"], ["at 3", "critic"], [undefined, undefined]]);
  assert.deepEqual(told[1].tool_calls, [{ id: "c", name: "add", args: { a: 1 } }, { id: "d", name: "add", args: "{" }]);
  assert.equal(messagesOf(values), told);
});
