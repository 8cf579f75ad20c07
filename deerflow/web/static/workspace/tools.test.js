import assert from "node:assert/strict";
import { test } from "node:test";
import { inSeconds, readResult, stateOf, toolTimes } from "./tools.js";

test("a call says what has become of it", () => {
  const call = { id: "1", name: "add", args: {} };
  assert.equal(stateOf(call, undefined, true), "running");
  assert.equal(stateOf(call, undefined, false), "not run");
  assert.equal(stateOf(call, { content: "3" }, false), "done");
  assert.equal(stateOf(call, { content: "no", status: "error" }, true), "failed");
  assert.equal(stateOf({ ...call, error: "not JSON" }, undefined, true), "failed");
});

test("a call that people have to do with says what", () => {
  const call = { id: "1", name: "send", args: {} };
  assert.equal(stateOf(call, undefined, false, "waiting"), "waiting");
  assert.equal(stateOf(call, undefined, false, "asking"), "asking");
  assert.equal(stateOf(call, undefined, true, "waiting"), "running");
  assert.equal(stateOf(call, { content: "3" }, false, "asking"), "done", "another of the same message asks");
  assert.equal(stateOf(call, { content: "no", status: "error" }, false, "waiting"), "failed");
  assert.equal(stateOf(call, { content: "refused", status: "error" }, false, "rejected"), "rejected");
  assert.equal(stateOf(call, undefined, true, "rejected"), "rejected");
  assert.equal(stateOf(call, { content: "sent" }, false, "rejected"), "done", "on another branch");
});

test("a result is JSON where its text is an object or a list", () => {
  assert.deepEqual(readResult('{"a": 1}'), { a: 1 });
  assert.deepEqual(readResult([{ type: "text", text: "[1]" }]), [1]);
  assert.equal(readResult("12"), "12");
  assert.equal(readResult("{not"), "{not");
});

test("a call took from the checkpoint that has it to the one that has its result", () => {
  const [call, result] = [{ tool_calls: [{ id: "c" }] }, { tool_call_id: "c" }];
  const at = (/** @type {string} */ second, /** @type {any[]} */ ...messages) => ({ created_at: `2026-01-01T00:00:0${second}Z`, values: { messages } });
  assert.deepEqual([...toolTimes([at("4", call, result), at("3", call, result), at("1", call), at("0")])], [["c", 2000]]);
  assert.equal(toolTimes([at("1", call), { values: null }]).size, 0);
});

test("times are told as people say them", () => {
  assert.deepEqual([12.4, 1500, 42_000, 125_000].map(inSeconds), ["12 ms", "1.5 s", "42 s", "2 min"]);
});
