import assert from "node:assert/strict";
import { test } from "node:test";
import { actOf, contentOf } from "./composer.js";
import { keepDraft, readDraft } from "./drafts.js";

const ENTER = { key: "Enter", shiftKey: false, isComposing: false };

test("Enter sends, Shift+Enter does not", () => {
  assert.equal(actOf(ENTER, false), "send");
  assert.equal(actOf({ ...ENTER, shiftKey: true }, false), null);
});

test("an Enter that ends a composition does not send", () => {
  assert.equal(actOf({ ...ENTER, isComposing: true }, false), null);
  assert.equal(actOf({ ...ENTER, keyCode: 229 }, false), null, "as Safari tells it");
});

test("Esc stops a run, and nothing else", () => {
  assert.equal(actOf({ ...ENTER, key: "Escape" }, true), "stop");
  assert.equal(actOf({ ...ENTER, key: "Escape" }, false), null);
});

test("text alone is text; with images it is the first block", () => {
  const image = { type: "image" };
  assert.equal(contentOf("hello", []), "hello");
  assert.deepEqual(contentOf("hello", [image]), [{ type: "text", text: "hello" }, image]);
  assert.deepEqual(contentOf(" ", [image]), [image]);
});

test("a draft is kept for its user and thread alone, and forgotten when it is empty", () => {
  const kept = new Map();
  const storage = /** @type {any} */ ({
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => kept.set(key, value),
    removeItem: (/** @type {string} */ key) => kept.delete(key),
  });
  keepDraft(storage, "ada", "t1", "half a");
  assert.equal(readDraft(storage, "ada", "t1"), "half a");
  assert.equal(readDraft(storage, "bob", "t1"), "");
  assert.equal(readDraft(storage, "ada", null), "");
  keepDraft(storage, "ada", "t1", "");
  assert.equal(kept.size, 0);
});

test("a browser that keeps nothing is no error", () => {
  const broken = /** @type {any} */ ({ getItem: () => assert.fail("away"), setItem: () => assert.fail("away") });
  keepDraft(broken, "ada", null, "text");
  assert.equal(readDraft(broken, "ada", null), "");
});
