import assert from "node:assert/strict";
import { test } from "node:test";
import { find, preview } from "./json.js";

test("what is searched is found in names and values, whatever its case", () => {
  const found = find({ messages: [{ content: "Hello" }, { content: "bye" }], hello: 1 }, "hello");
  assert.deepEqual([...found.places].sort(), ["/hello", "/messages/0/content"]);
  assert.equal(found.count, 2);
});

test("all that leads to what is found is opened, and nothing else", () => {
  assert.deepEqual([...find({ a: { b: { c: "x" } }, d: { e: "y" } }, "x").on].sort(), ["", "/a", "/a/b"]);
});

test("names with a slash have a place of their own", () => {
  assert.deepEqual([...find({ "a/b": "x", a: { b: "y" } }, "x").places], ["/a~1b"]);
});

test("searching ends, however much is found and however deep", () => {
  assert.equal(find(Array(5000).fill("x"), "x").count, 1001);
  let deep = /** @type {any} */ ("x");
  for (let level = 0; level < 10_000; level += 1) deep = { deep };
  assert.equal(find(deep, "x").count, 0);
});

test("a folded value shows its beginning in one short line", () => {
  assert.equal(preview({ a: 1, b: "two\nlines", c: [1, 2], d: { e: 1 }, f: 2 }), "a: 1, b: two lines, c: [2], d: {…}");
  assert.equal(preview(["a", null]), "a, null");
  assert.equal(preview([{ type: "human", content: "Hello" }, { content: [] }]), "“Hello”, {…}");
  assert.ok(preview({ a: "x".repeat(100), b: "y".repeat(100) }).length <= 80);
});
