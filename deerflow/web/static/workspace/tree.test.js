import assert from "node:assert/strict";
import { test } from "node:test";
import { joined, lay, placeOf } from "./tree.js";

/**
 * @param {string} id
 * @param {string | null} parent
 * @param {number} step
 */
const state = (id, parent, step) => /** @type {import("./tree.js").State} */ ({
  checkpoint: { checkpoint_id: id }, parent_checkpoint: parent ? { checkpoint_id: parent } : null,
  metadata: { step }, created_at: null, values: {}, next: [], tasks: [],
});

/** c, d and then e from b again; f from a: newest first. */
const BRANCHED = [state("f", "a", 0), state("e", "b", 1), state("d", "c", 2), state("c", "b", 1), state("b", "a", 0), state("a", null, -1)];

test("a line without branches stands in one column", () => {
  const rows = lay([state("c", "b", 1), state("b", "a", 0), state("a", null, -1)]);
  assert.deepEqual(rows.map(({ column, passing, joining, isTip, goesOn }) => [column, passing, joining, isTip, goesOn]), [
    [0, [], [], true, true], [0, [], [], false, true], [0, [], [], false, false],
  ]);
});

test("each branch has a column until it joins where it began", () => {
  const rows = lay(BRANCHED);
  assert.deepEqual(rows.map(({ id, column }) => id + column).join(" "), "f0 e1 d2 c2 b1 a0");
  assert.deepEqual(rows.map(({ joining }) => joining), [[], [], [], [], [2], [1]]);
  assert.deepEqual(rows[3].passing, [0, 1]);
  assert.deepEqual(rows.filter(({ isTip }) => isTip).map(({ id }) => id), ["f", "e", "d"]);
});

test("a column that has ended is used again", () => {
  const rows = lay([state("e", "c", 2), state("d", "c", 2), state("c", "b", 1), state("x", "b", 1), state("b", null, 0)]);
  assert.deepEqual(rows.map(({ id, column }) => id + column).join(" "), "e0 d1 c0 x1 b0");
});

test("a step is counted from one, on the line to the newest that came of it", () => {
  assert.deepEqual(placeOf(BRANCHED, "c"), { step: 3, total: 4, isHead: false });
  assert.deepEqual(placeOf(BRANCHED, "b"), { step: 2, total: 3, isHead: false });
  assert.deepEqual(placeOf(BRANCHED, "f"), { step: 2, total: 2, isHead: true });
  assert.equal(placeOf(BRANCHED, "nosuch"), null);
});

test("pages that overlap are joined without doubles", () => {
  assert.equal(joined(BRANCHED.slice(0, 4), BRANCHED.slice(2)).length, 6);
});
