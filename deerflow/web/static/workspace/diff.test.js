import assert from "node:assert/strict";
import { test } from "node:test";
import { diff, holds } from "./diff.js";

test("what is new, gone and changed is told with its place", () => {
  assert.deepEqual(diff({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 4 }, e: 5 }), [
    { path: "b.c", kind: "changed", before: 2, after: 4 },
    { path: "b.d", kind: "removed", before: 3 },
    { path: "e", kind: "added", after: 5 },
  ]);
});

test("equal values have no difference", () => {
  for (const value of [null, 1, "a", [], {}, [1, [2, { a: null }]]]) assert.deepEqual(diff(value, structuredClone(value)), []);
});

test("lists are compared by the ids of their entries, where all have one", () => {
  const [one, two, three] = [{ id: "1", text: "a" }, { id: "2", text: "b" }, { id: "3", text: "c" }];
  assert.deepEqual(diff([one, two], [three, one, { ...two, text: "B" }]), [
    { path: "[2].text", kind: "changed", before: "b", after: "B" },
    { path: "[3]", kind: "added", after: three },
  ]);
});

test("lists without ids, or with the same twice, are compared by place", () => {
  assert.deepEqual(diff(["a"], ["a", "b"]), [{ path: "[1]", kind: "added", after: "b" }]);
  assert.equal(diff([{ id: "1", a: 1 }, { id: "1", a: 2 }], [{ id: "1", a: 1 }, { id: "1", a: 3 }]).length, 1);
});

test("another kind of value is one change", () => {
  assert.deepEqual(diff({ a: [1] }, { a: { 0: 1 } }), [{ path: "a", kind: "changed", before: [1], after: { 0: 1 } }]);
  assert.deepEqual(diff(null, {}), [{ path: "", kind: "changed", before: null, after: {} }]);
});

test("what a server puts in beside does not matter, what it has lost does", () => {
  assert.ok(holds({ messages: [{ content: "a" }] }, { messages: [{ content: "a", id: "1" }], other: 1 }));
  assert.ok(!holds([1, 2], [1, 2, 3]));
  assert.ok(!holds({ a: null }, {}));
});
