import assert from "node:assert/strict";
import { test } from "node:test";
import { actsOf, onceMore } from "./acts.js";

/** @param {string} id @param {string | null} parent @param {string} source @param {string} run */
const state = (id, parent, source, run) =>
  /** @type {any} */ ({ checkpoint: { checkpoint_id: id }, parent_checkpoint: parent && { checkpoint_id: parent }, metadata: { source, run_id: run }, values: {}, next: [] });
const STATES = [state("c", "b", "loop", "r2"), state("b", "a", "loop", "r1"), state("a", null, "input", "r1")];
const asking = (/** @type {string} */ id) => ({ ...STATES[0], tasks: [{ interrupts: [{ id }] }] });

/** Acts on a thread of two messages; what they have started, and what was said about it. @param {any} [told] */
function acts({ chosen = null, head = STATES[0], open = "i", run = null } = {}) {
  const [started, said] = [/** @type {any[]} */ ([]), /** @type {string[]} */ ([])];
  const places = new Map([["q", { before: null }], ["a1", { before: "a" }]]);
  const past = { states: STATES, chosen, head, places, find: async () => null, refresh: async () => STATES };
  const client = { threads: { getState: async () => asking(open) }, runs: { get: async () => run } };
  const start = async (/** @type {any} */ input, /** @type {any[]} */ shown, /** @type {any} */ options) => started.push({ input, shown, options }) > 0;
  const around = { client, threadId: "t", past, messages: [{ id: "q" }, { id: "a1" }], start, setProblem: (/** @type {string} */ text) => void said.push(text) };
  return { ...actsOf(/** @type {any} */ (around)), started, said };
}
const placeOf = (/** @type {any} */ { options }) => options.checkpoint?.checkpoint_id;

test("what is sent goes on from the newest state, or from the branch that is shown", async () => {
  const newest = acts();
  await newest.send("hello");
  const [{ input, shown }] = newest.started;
  assert.deepEqual([input.messages[0].content, shown.length, placeOf(newest.started[0])], ["hello", 3, undefined]);
  assert.equal(shown[2], input.messages[0]);
  const branch = acts({ chosen: "b" });
  await branch.send("hello");
  assert.equal(placeOf(branch.started[0]), "b");
});

test("an edit and an answer run again begin before their message, and keep what stood there", async () => {
  const { edit, again, started, said } = acts();
  await edit("a1", "other");
  await again("a1");
  assert.deepEqual(started.map(placeOf), ["a", "a"]);
  assert.deepEqual(started.map(({ shown }) => shown.length), [2, 1]);
  assert.equal(await again("q"), false);
  assert.match(said[0], /very beginning/);
});

test("what somebody else has answered is not answered once more", async () => {
  const late = acts({ head: asking("i"), open: "another" });
  assert.equal(await late.answer("yes"), false);
  assert.deepEqual([late.started, late.said.length], [[], 1]);
  const inTime = acts({ head: asking("i") });
  assert.equal(await inTime.answer("yes"), true);
  assert.deepEqual(inTime.started[0].options.command, { resume: "yes" });
});

test("a run is had once more from its input, or as it was made", async () => {
  const { retry, started } = acts();
  await retry("r1");
  assert.deepEqual([started[0].input, placeOf(started[0])], [undefined, "a"]);
  const made = acts({ run: /** @type {any} */ ({ kwargs: { input: null, command: { resume: 1 }, config: {} } }) });
  await made.retry("r2");
  assert.deepEqual([placeOf(made.started[0]), made.started[0].options.command], ["b", { resume: 1 }]);
  assert.equal(await acts().retry("gone"), false);
  const bare = onceMore(undefined, { input: { a: 1 }, config: { configurable: { checkpoint_id: "x" } } });
  assert.deepEqual([bare.input, bare.checkpoint?.checkpoint_id], [{ a: 1 }, "x"]);
});
