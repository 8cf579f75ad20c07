import assert from "node:assert/strict";
import { test } from "node:test";
import { answersIn, inWords, mayAnswer, rejectedIn } from "./answered.js";

const state = (/** @type {string} */ id, /** @type {string} */ parent, /** @type {string} */ run, /** @type {any[]} */ interrupts = []) =>
  /** @type {any} */ ({ checkpoint: { checkpoint_id: id }, parent_checkpoint: { checkpoint_id: parent }, metadata: { run_id: run, user_id: "u" }, tasks: [{ interrupts }] });

test("an answer is the run that went on with it, and its question what the checkpoint before asked", () => {
  const runs = [
    { run_id: "r3", created_at: "3", kwargs: { input: null, command: null } },
    { run_id: "r2", created_at: "2", kwargs: { command: { resume: false } } },
    { run_id: "r1", created_at: "1", kwargs: { input: {} } },
  ];
  const history = [state("d", "c", "r2"), state("c", "b", "r2"), state("b", "a", "r1", [{ value: "ok?" }]), state("a", "", "r1")];
  assert.deepEqual(answersIn(runs, history), [{ runId: "r2", at: "2", user: "u", question: "ok?", asks: "ok?", answer: false, rejected: [] }]);
});

test("only runs that were not given an input, of the time that is known, are looked at", () => {
  const history = /** @type {any[]} */ ([
    { created_at: "5", metadata: { source: "loop", run_id: "answering" } },
    { created_at: "3", metadata: { source: "input", run_id: "asking" } },
    { created_at: "2", metadata: { source: "loop", run_id: "before" } },
  ]);
  const runs = [["failed", "6"], ["answering", "4"], ["asking", "2.5"], ["before", "1"]].map(([run_id, created_at]) => ({ run_id, created_at }));
  assert.deepEqual(mayAnswer(runs, history).map(({ run_id }) => run_id), ["failed", "answering"]);
});

test("what was answered in another branch is not told in this one", () => {
  const runs = [{ run_id: "r2", created_at: "2", kwargs: { command: { resume: "yes" } } }, { run_id: "new", created_at: "3", kwargs: { command: { resume: "no" } } }];
  const line = [state("e", "a", "r3"), state("a", "", "r1")];
  const all = [line[0], state("c", "b", "r2"), state("b", "a", "r1", [{ value: "ok?" }]), line[1]];
  assert.deepEqual(answersIn(runs, line, all).map(({ runId }) => runId), ["new"]);
  assert.deepEqual(answersIn(runs, all.slice(1), all).map(({ runId }) => runId), ["r2", "new"]);
});

test("an answer whose question is not read yet stays visible", () => {
  const [answer] = answersIn([{ run_id: "r2", created_at: "2", kwargs: { command: { resume: "yes" } } }], []);
  assert.deepEqual([answer.answer, answer.question, answer.user], ["yes", undefined, null]);
});

test("an answer under its question's id is the answer", () => {
  const [one, other] = ["a".repeat(32), "b".repeat(32)];
  const resumed = (/** @type {any} */ resume) => answersIn([{ run_id: "r", created_at: "1", kwargs: { command: { resume } } }], [])[0].answer;
  assert.deepEqual([resumed({ [one]: "yes" }), resumed({ [one]: "yes", [other]: 2 }), resumed({ a: 1 }), resumed({})], ["yes", ["yes", 2], { a: 1 }, {}]);
});

test("what was asked is told in a line", () => {
  const asks = (/** @type {any[]} */ ...values) =>
    answersIn([{ run_id: "r2", created_at: "2", kwargs: { command: { resume: true } } }], [state("c", "b", "r2"), state("b", "a", "r1", values.map((value) => ({ value })))])[0].asks;
  assert.equal(asks({ question: "Shall I\ngo **on**, `x_y`?", price: 3 }), "Shall I go on, x_y?");
  assert.equal(asks("left?", "right?"), "left? · right?");
  assert.equal(asks({ action_requests: [{ name: "send" }, { name: "drop" }], review_configs: [{ allowed_decisions: ["reject"] }, { allowed_decisions: ["reject"] }] }), "Run send, drop?");
  assert.equal(asks({ price: 3 }), "price: 3");
  assert.equal(asks("a".repeat(300)).length, 200);
});

/** @param {any[]} calls @param {any[]} values of interrupts */
const asking = (calls, ...values) => ({
  values: { messages: [{ type: "ai", tool_calls: [{ id: "old", name: "send", args: { to: "a" } }] }, { type: "ai", tool_calls: calls }, { type: "tool" }] },
  tasks: [{ interrupts: values.map((value, place) => ({ id: String(place).repeat(32), value })) }],
});
const wanted = (/** @type {any[]} */ ...actions) => ({ action_requests: actions, review_configs: actions.map(() => ({ allowed_decisions: ["approve", "reject"] })) });

test("an answer names the calls that it has rejected", () => {
  const [send, same, drop] = [{ name: "send", args: { to: "a" } }, { name: "send", args: { to: "a" } }, { name: "drop", args: {} }];
  const calls = [{ id: "1", ...send }, { id: "2", ...same }, { id: "3", ...drop }];
  const [no, yes] = [{ type: "reject" }, { type: "approve" }];
  assert.deepEqual(rejectedIn(asking(calls, wanted(send, same, drop)), { decisions: [yes, no, no] }), ["2", "3"]);
  assert.deepEqual(rejectedIn(asking(calls, wanted(drop)), { decisions: [no] }), ["3"]);
  assert.deepEqual(rejectedIn(asking(calls, wanted(drop), wanted(send)), { ["0".repeat(32)]: { decisions: [no] }, ["1".repeat(32)]: { decisions: [yes] } }), ["3"]);
  const older = { action_request: { action: "drop", args: {} }, config: { allow_ignore: true } };
  assert.deepEqual(rejectedIn(asking(calls, older), [{ type: "ignore", args: null }]), ["3"]);
  assert.deepEqual(rejectedIn(asking(calls, "ok?"), { type: "reject" }), []);
  assert.deepEqual(rejectedIn(asking(calls, wanted({ name: "send", args: { to: "b" } })), { decisions: [no] }), []);
  assert.deepEqual(rejectedIn(null, { decisions: [no] }), []);
});

test("answers are told in words where there are some", () => {
  assert.equal(inWords("go"), "go");
  assert.equal(inWords(true), "Yes");
  assert.equal(inWords({ decisions: [{ type: "approve" }, { type: "reject", message: "no" }] }), "approved · rejected: no");
  assert.equal(inWords([{ type: "response", args: "later" }]), "answered: later");
  assert.equal(inWords(["go", true, { decisions: [{ type: "approve" }] }]), "go · Yes · approved");
  assert.equal(inWords({ a: 1 }), "");
  assert.equal(inWords([{ a: 1 }, "go"]), "");
});
