import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { answerOf, questionOf, readRequest, resumeOf } from "./requests.js";

const CURRENT = {
  action_requests: [
    { name: "send", args: { to: "a" }, description: "Send a mail" },
    { name: "drop", args: {} },
  ],
  review_configs: [
    { action_name: "drop", allowed_decisions: ["approve", "reject"] },
    { action_name: "send", allowed_decisions: ["approve", "edit", "reject", "respond"] },
  ],
};
const OLDER = { action_request: { action: "send", args: { to: "a" } }, description: "d", config: { allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: false } };

/**
 * @param {any} request
 * @param {[string, string?][]} drafts
 */
const answered = (request, ...drafts) => answerOf(request, drafts.map(([kind, text = ""]) => ({ kind: /** @type {any} */ (kind), text })));

test("a request of langchain allows for each action what its config allows", () => {
  const request = /** @type {any} */ (readRequest(CURRENT));
  assert.deepEqual(request.actions.map((/** @type {any} */ action) => [action.name, action.allowed.join(" ")]), [
    ["send", "approve edit reject respond"], ["drop", "approve reject"],
  ]);
});

test("decisions go back in the order of the actions", () => {
  const request = readRequest(CURRENT);
  assert.deepEqual(answered(request, ["edit", '{"to": "b"}'], ["reject", "too risky"]), {
    answer: { decisions: [{ type: "edit", edited_action: { name: "send", args: { to: "b" } } }, { type: "reject", message: "too risky" }] },
  });
  assert.deepEqual(answered(request, ["respond", "done by hand"], ["reject"]), { answer: { decisions: [{ type: "respond", message: "done by hand" }, { type: "reject" }] } });
});

test("a decision that is not allowed, missing or not complete is not sent", () => {
  const request = readRequest(CURRENT);
  for (const drafts of /** @type {[string, string?][][]} */ ([[["approve"]], [["approve"], ["edit", "{}"]], [["edit", "{"], ["approve"]], [["edit", "[1]"], ["approve"]], [["respond", " "], ["approve"]]])) {
    assert.ok(answered(request, ...drafts).wrong, JSON.stringify(drafts));
  }
});

test("the older form is answered in its own words, as a list also when it came alone", () => {
  assert.deepEqual(answered(readRequest([OLDER]), ["approve"]), { answer: [{ type: "accept", args: null }] });
  assert.deepEqual(answered(readRequest(OLDER), ["edit", '{"to": "b"}']), { answer: [{ type: "edit", args: { action: "send", args: { to: "b" } } }] });
  assert.deepEqual(answered(readRequest(OLDER), ["respond", "no"]), { answer: [{ type: "response", args: "no" }] });
  assert.ok(answered(readRequest(OLDER), ["reject"]).wrong);
  assert.deepEqual(answered(readRequest({ ...OLDER, config: { allow_ignore: true } }), ["reject", "why"]), { answer: [{ type: "ignore", args: null }] });
});

test("what is no request that can be decided is an open question", () => {
  for (const value of [null, undefined, "ok?", 1, [], {}, [OLDER, 1], { action_requests: [], review_configs: [] }, { action_requests: [{ name: "a" }], review_configs: [] }, { ...OLDER, config: {} }, { ...CURRENT, review_configs: [{ allowed_decisions: 5 }, { allowed_decisions: {} }] }]) {
    assert.equal(readRequest(value).form, "open", JSON.stringify(value));
  }
});

test("what has no name in words is named all the same, and thousands of actions are read at once, more of them not", () => {
  const odd = { action_requests: [{ name: { toString: 1 } }], review_configs: [{ allowed_decisions: ["approve"] }] };
  assert.equal(/** @type {any} */ (readRequest(odd)).actions[0].name, '{"toString":1}');
  const many = (/** @type {number} */ count) => ({
    action_requests: Array.from({ length: count }, (_, at) => ({ name: `n${at}` })),
    review_configs: Array.from({ length: count }, (_, at) => ({ action_name: `n${at}`, allowed_decisions: ["approve"] })),
  });
  assert.equal(/** @type {any} */ (readRequest(many(5_000))).actions.length, 5_000);
  assert.equal(readRequest(many(5_001)).form, "open");
  assert.equal(readRequest(Array.from({ length: 5_001 }, () => OLDER)).form, "open");
});

test("an open question takes text, JSON, yes and no", () => {
  const request = readRequest("ok?");
  assert.deepEqual(answered(request, ["text", " as it is "]), { answer: " as it is " });
  assert.deepEqual(answered(request, ["json", "[1, null]"]), { answer: [1, null] });
  assert.deepEqual([answered(request, ["yes"]), answered(request, ["no"])], [{ answer: true }, { answer: false }]);
  assert.ok(answered(request, ["json", "{no"]).wrong);
  assert.ok(answered(request, ["text"]).wrong);
});

test("one answer goes by itself, several under the ids of their questions, and null always under its id", () => {
  assert.equal(resumeOf([{ id: "a" }], ["yes"]), "yes");
  assert.deepEqual(resumeOf([{ id: "a" }, { id: "b" }], ["yes", 2]), { a: "yes", b: 2 });
  assert.deepEqual(resumeOf([{ id: "a" }], [null]), { a: null });
});

test("the sentence of a payload is found, and nothing of it is lost", () => {
  assert.deepEqual(questionOf("ok?"), { question: "ok?", rest: undefined });
  assert.deepEqual(questionOf({ question: "ok?", risk: 3 }), { question: "ok?", rest: { risk: 3 } });
  assert.deepEqual(questionOf([1]), { question: "", rest: [1] });
});

/** What the page of approvals answers in the same cases, tested there in Python. */
const SHARED = new URL("../../../../tests/integration/web/approvals.json", import.meta.url);

test("a question is answered alike in the workspace and on the page of approvals", { skip: !existsSync(SHARED) }, () => {
  for (const { name, value, drafts, answer } of JSON.parse(readFileSync(SHARED, "utf8")).cases) {
    const told = /** @type {any} */ (answered(readRequest(value), ...drafts));
    assert.deepEqual(told.wrong === undefined ? told.answer : undefined, answer, name ?? JSON.stringify(value));
  }
});
