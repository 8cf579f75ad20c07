import assert from "node:assert/strict";
import { test } from "node:test";
import { pageSize } from "./past.js";

test("of long threads and of large values fewer states are read at once", () => {
  const messages = (/** @type {number} */ count) => ({ messages: Array.from({ length: count }, (_, id) => ({ id, content: "Hello" })) });
  assert.equal(pageSize(undefined), 100);
  assert.equal(pageSize(messages(2)), 100);
  assert.equal(pageSize(messages(100)), 40);
  assert.equal(pageSize(messages(2000)), 10);
  assert.equal(pageSize({ file: "x".repeat(1_000_000) }), 3);
  assert.equal(pageSize({ file: "x".repeat(5_000_000) }), 1);
  assert.equal(pageSize("what a graph of functions has given"), 100);
  assert.deepEqual([7, "", true, "x".repeat(5_000_000), ["x".repeat(1_000_000)]].map(pageSize), [100, 100, 100, 1, 3]);
});
