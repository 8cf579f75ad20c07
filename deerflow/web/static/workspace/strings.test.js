import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, newId, page, t } from "./strings.js";

test("a text is said in the page's language, with its values", () => {
  page.strings = { "Step {n}": "第 {n} 步" };
  assert.equal(t("Step {n}", { n: 3 }), "第 3 步");
  assert.equal(t("Nobody said {this}"), "Nobody said {this}");
  page.strings = {};
});

test("how long ago is told in the largest unit that fits", () => {
  const now = Date.parse("2026-01-02T12:00:00Z");
  assert.equal(ago("2026-01-02T11:59:50Z", now), "just now");
  assert.equal(ago("2026-01-02T11:56:01Z", now), "3 minutes ago");
  assert.equal(ago("2026-01-01T11:00:00Z", now), "yesterday");
  assert.equal(ago("nonsense", now), "");
});

test("ids are UUIDs, each another", () => {
  assert.match(newId(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(newId(), newId());
});
