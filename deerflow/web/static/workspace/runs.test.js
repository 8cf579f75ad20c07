import assert from "node:assert/strict";
import { test } from "node:test";
import { inOrder, isScheduled, standing, underWay } from "./runs.js";

const runs = (/** @type {string[]} */ ...statuses) => statuses.map((status, place) => ({ run_id: `r${place}`, status, created_at: "" }));
const known = (/** @type {any} */ told) => standing({ runs: [], current: null, isStreaming: false, head: null, ...told });

test("the oldest that has not ended is under way", () => {
  assert.equal(underWay(runs("pending", "running", "success"))?.run_id, "r1");
  assert.equal(underWay(runs("pending", "pending"))?.run_id, "r1");
  assert.equal(underWay(runs("success", "error")), undefined);
});

test("a run whose time has not come is not under way, and hides no failure", () => {
  const at = (/** @type {number} */ seconds) => new Date(Date.now() + seconds * 1000).toISOString();
  const later = { run_id: "later", status: "pending", created_at: at(-5), run_at: at(60) };
  const due = { run_id: "due", status: "pending", created_at: at(-90), run_at: at(-30) };
  assert.deepEqual([later, due, { ...later, created_at: later.run_at }, { ...later, status: "running" }].map((run) => isScheduled(run)), [true, false, false, false]);
  assert.equal(underWay([due, later])?.run_id, "due");
  assert.equal(underWay([later]), undefined);
  const { failed, queued } = known({ runs: [later, ...runs("error")] });
  assert.deepEqual([failed?.run_id, queued], ["r0", [later]]);
});

test("what waits is told in its order, without the one that is followed", () => {
  const { queued, isWaiting } = known({ runs: runs("pending", "pending", "running"), current: "r2", isStreaming: true });
  assert.deepEqual([queued.map(({ run_id }) => run_id), isWaiting], [["r1", "r0"], false]);
  assert.deepEqual(known({ runs: runs("pending"), isStreaming: true }).queued, [], "it may be the one that is just sent");
  assert.equal(known({ runs: runs("pending"), current: "r0", isStreaming: true }).isWaiting, true);
  assert.equal(known({ runs: runs("pending"), current: "r0" }).isWaiting, false);
});

test("a failure is told until something else has begun", () => {
  assert.equal(known({ runs: runs("error", "success") }).failed?.run_id, "r0");
  assert.equal(known({ runs: runs("success", "error") }).failed, null);
  assert.equal(known({ runs: runs("pending", "error") }).failed, null);
  assert.equal(known({ runs: runs("timeout"), isStreaming: true }).failed, null);
});

test("a graph with more to do that asks nothing has halted; one that asks has not", () => {
  const asking = { next: ["a"], tasks: [{ interrupts: [{ id: "i" }] }, {}] };
  const halted = known({ runs: runs("success"), head: { next: ["a"], tasks: [] } });
  assert.deepEqual([halted.isPaused, halted.interrupts], [true, []]);
  const asked = known({ runs: runs("interrupted"), head: asking });
  assert.deepEqual([asked.isPaused, asked.interrupts], [false, [{ id: "i" }]]);
  assert.deepEqual(known({ runs: runs("running"), head: asking, isStreaming: true }).interrupts, []);
  assert.equal(known({ runs: runs("error"), head: { next: ["a"] } }).isPaused, false);
});

test("a reading that a later one has overtaken does not count", () => {
  const begin = inOrder();
  const [first, second, third] = [begin(), begin(), begin()];
  assert.deepEqual([second(), first(), third()], [true, false, true]);
});
