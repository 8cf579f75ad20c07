import assert from "node:assert/strict";
import { test } from "node:test";
import { beyondState, failedTurns, firstQuestion, goesOn, plainText, resultsOf, rowsOf, steady } from "./turns.js";

const human = (/** @type {string} */ id, content = id) => ({ type: "human", id, content });
const ai = (/** @type {string} */ id, content = id, more = {}) => ({ type: "ai", id, content, ...more });
const token = (/** @type {string} */ id, /** @type {any} */ content) => ({ event: "messages", data: [{ type: "AIMessageChunk", id, content }, {}] });
const keys = (/** @type {any[]} */ messages, /** @type {any[]} */ unsaid = []) => rowsOf(messages, unsaid).map((row) => row.key);

test("a tool's result is no row of its own, unless nobody has called the tool", () => {
  const call = ai("b", "", { tool_calls: [{ id: "t1" }] });
  const results = [{ type: "tool", id: "c", tool_call_id: "t1" }, { type: "tool", id: "d", tool_call_id: "t2" }];
  assert.deepEqual(keys([human("a"), call, ...results]), ["a", "b", "d"]);
  assert.equal(resultsOf([call, ...results]).get("t1"), results[0]);
});

test("an agent goes on speaking until another one does, or a person", () => {
  const said = [human("a"), ai("b", "b", { name: null }), ai("c"), ai("d", "d", { name: null }), ai("e", "e", { name: "critic" })];
  const rows = rowsOf(said, []);
  assert.deepEqual(rows.map((row, place) => goesOn(row, rows[place - 1])), [false, false, true, true, false]);
});

test("what a stopped run has said stands behind what it was asked", () => {
  const unsaid = [{ runId: "r", status: "interrupted", after: "a", messages: [ai("x")] }];
  assert.deepEqual(keys([human("a")], unsaid), ["a", "r x"]);
  assert.deepEqual(keys([human("a"), human("b"), ai("c")], unsaid), ["a", "r x", "b", "c"]);
});

test("and is gone where the question was answered after all, or is not there", () => {
  const unsaid = [{ runId: "r", status: "interrupted", after: "a", messages: [ai("x")] }];
  assert.deepEqual(keys([human("a"), ai("b")], unsaid), ["a", "b"]);
  assert.deepEqual(keys([human("z")], unsaid), ["z"]);
});

test("a turn that failed says so where somebody has gone on from it, or at the end of a branch", () => {
  const places = new Map(["a", "b"].map((id) => [id, { before: null, runId: `run of ${id}` }]));
  const line = [{ checkpoint: { checkpoint_id: "1" }, values: {}, next: [], metadata: { run_id: "run of a" }, tasks: [{}, { error: "ValueError('boom')" }] }];
  const runs = ["b", "a"].map((id) => ({ run_id: `run of ${id}`, status: id === "a" ? "error" : "timeout", created_at: "" }));
  const failed = (/** @type {any[]} */ messages, /** @type {any[]} */ unsaid = [], isStreaming = false) => [...failedTurns(rowsOf(messages, unsaid), runs, { places, line }, isStreaming)];
  const first = { runId: "run of a", status: "error", error: "ValueError" };
  const second = { runId: "run of b", status: "timeout", error: "" };
  assert.deepEqual(failed([human("a"), human("b")]), [["b", second], ["a", first]]);
  assert.deepEqual(failed([human("a"), human("c")], [], true), [["a", first]], "somebody has just gone on");
  assert.deepEqual(failed([human("a")], [], true), [], "it is tried again");
  assert.deepEqual(failed([human("a"), ai("c")]), [], "it was answered after all");
  const unsaid = [{ runId: "run of a", status: "error", after: "a", messages: [ai("x")] }];
  assert.deepEqual(failed([human("a")], unsaid), [["run of a x", first]]);
});

test("beyond the state is what was streamed and no state holds", () => {
  const values = { event: "values", data: { messages: [human("a")] } };
  const told = beyondState([values, token("x", "one "), token("x", "two"), token("x", "")]);
  assert.deepEqual(told?.messages.map((each) => [each.type, each.content]), [["ai", "one two"]]);
  assert.equal(told?.after, "a");
  const after = { event: "values", data: { messages: [human("a"), ai("x", "one two")] } };
  assert.equal(beyondState([values, token("x", "one two"), after]), null);
  assert.equal(beyondState([values, token("x", " ")]), null, "nothing was said");
  assert.equal(beyondState([]), null);
});

test("text that comes as blocks is put together", () => {
  const block = (/** @type {string} */ text) => [{ type: "text", text, index: 0 }];
  const told = beyondState([token("x", block("one ")), token("x", block("two")), token("x", "three")]);
  assert.deepEqual(told?.messages[0].content, [{ type: "text", text: "one two", index: 0 }, { type: "text", text: "three" }]);
});

test("messages that say the same stay the same objects", () => {
  const before = [human("a"), ai("b", "one")];
  assert.equal(steady(before, [human("a"), ai("b", "one")]), before);
  const grown = steady(before, [human("a"), ai("b", "one two"), ai("c")]);
  assert.equal(grown[0], before[0]);
  assert.equal(grown[1].content, "one two");
});

test("a title is the first question, on one line and not too long", () => {
  assert.equal(firstQuestion([ai("x"), human("a", "  two\n words ")]), "two words");
  assert.equal(firstQuestion([human("a", "long ".repeat(50))]).length, 80);
  assert.equal(firstQuestion([]), "");
});

test("what stands in the place of a text and is none has no words", () => {
  const odd = human("a", /** @type {any} */ ([null, 1, { text: { toString: 1 } }, { text: ["b"] }, { text: "c" }, "d"]));
  assert.equal(plainText(odd), "c\nd");
  assert.equal(firstQuestion([odd]), "c d");
});
