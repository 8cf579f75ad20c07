import assert from "node:assert/strict";
import { test } from "node:test";
import { saidOf } from "./told.js";

test("the server's own sentence is told, without what the client puts around it", () => {
  assert.equal(saidOf(new Error('HTTP 409: {"detail": "The thread is busy."}')), "The thread is busy.");
  assert.equal(saidOf(new Error("HTTP 500: {broken}")), "HTTP 500: {broken}");
  assert.equal(saidOf(new Error("boom")), "boom");
  assert.equal(saidOf(null), "That did not go through.");
});

test("a server that is away is told, a session that has ended is not: the page says that already", () => {
  assert.match(String(saidOf(new TypeError("Failed to fetch"))), /could not be reached/);
  assert.equal(saidOf({ status: 401, message: "no" }), null);
});
