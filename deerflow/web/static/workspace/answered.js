// Who answered which question, and when: read from the runs that went on with an answer.

import { html, useEffect, useState } from "../vendor/workspace-vendor.js";
import { messagesOf } from "./branches.js";
import { diff } from "./diff.js";
import { Icon } from "./icon.js";
import { Json, preview } from "./json.js";
import { questionOf, readRequest } from "./requests.js";
import { idOf, parentOf } from "./tree.js";
import { page, t } from "./strings.js";
import { When } from "./when.js";

/**
 * @typedef {{ run_id: string, created_at: string, kwargs?: any }} Run
 * @typedef {{ runId: string, at: string, user: string | null, question: unknown, asks: string, answer: unknown, rejected: string[] }} Answer
 *   asks: the question in a few words; rejected: the ids of the calls that may not be run
 * @typedef {{ id?: string, value?: any }} Interrupt
 */

const MOST = 30;
const LONG = 200; // characters of a question or an answer in a line
const NONE = /** @type {Set<string>} */ (new Set());

/** What runs were created with, which does not change. @type {Map<string, Promise<Run | null>>} */
const known = new Map();

/**
 * The answers of a thread, oldest first. Runs are listed without what they were given, which may be large: only those
 * are read that may have gone on with an answer.
 * @param {any} client
 * @param {string} threadId
 * @param {import("./tree.js").State[]} history of the branch, newest first
 * @param {import("./tree.js").State[]} all of every branch
 * @returns {Promise<Answer[]>}
 */
export async function readAnswers(client, threadId, history, all) {
  const listed = /** @type {Run[]} */ (await client.runs.list(threadId, { limit: 100, select: ["run_id", "created_at"] }));
  const read = await Promise.all(mayAnswer(listed, history).slice(0, MOST).map(({ run_id }) => readRun(client, threadId, run_id)));
  return answersIn(read.filter((run) => run !== null), history, all);
}

/**
 * The runs of the time that is known which were not given an input: that would be a checkpoint of theirs.
 * @param {Run[]} runs
 * @param {import("./tree.js").State[]} history
 */
export function mayAnswer(runs, history) {
  const given = new Set(history.filter(({ metadata }) => metadata?.source === "input").map(({ metadata }) => metadata?.run_id));
  const since = history.at(-1)?.created_at ?? "";
  return runs.filter(({ run_id, created_at }) => !given.has(run_id) && created_at > since);
}

/**
 * @param {any} client
 * @param {string} threadId
 * @param {string} runId
 */
function readRun(client, threadId, runId) {
  const read = known.get(runId) ?? client.runs.get(threadId, runId).catch(() => null);
  known.set(runId, read);
  return read;
}

/**
 * The question is what the checkpoint asked from which the run went on; who answered, what its checkpoints say. What
 * only other branches have checkpoints of was not answered in this one.
 * @param {Run[]} runs
 * @param {import("./tree.js").State[]} history of the branch, newest first
 * @param {import("./tree.js").State[]} [all] of every branch
 * @returns {Answer[]}
 */
export function answersIn(runs, history, all = history) {
  const byId = new Map(history.map((state) => [idOf(state), state]));
  const [here, known] = [history, all].map((states) => new Set(states.map(({ metadata }) => metadata?.run_id)));
  return runs
    .filter(({ run_id, kwargs }) => kwargs?.command?.resume !== undefined && kwargs.command.resume !== null && (here.has(run_id) || !known.has(run_id)))
    .sort((one, other) => one.created_at.localeCompare(other.created_at))
    .map(({ run_id, created_at, kwargs }) => {
      const first = history.findLast(({ metadata }) => metadata?.run_id === run_id);
      const asking = first && byId.get(parentOf(first) ?? "");
      const { resume } = kwargs.command;
      return {
        runId: run_id, at: created_at, user: first?.metadata?.user_id || null, question: asked(asking),
        asks: cut(interruptsOf(asking).map(({ value }) => inShort(value)).filter(Boolean).join(" · ")),
        answer: unwrapped(resume), rejected: rejectedIn(asking, resume),
      };
    });
}

/** @param {any} resume */
const isUnderIds = (resume) => {
  const ids = typeof resume === "object" && resume !== null ? Object.keys(resume) : [];
  return ids.length > 0 && ids.every((id) => /^[0-9a-f]{32}$/.test(id));
};

/**
 * The answer itself, where it was sent under its question's id; of several a list.
 * @param {any} resume
 */
function unwrapped(resume) {
  if (!isUnderIds(resume)) return resume;
  const answers = Object.values(resume);
  return answers.length === 1 ? answers[0] : answers;
}

/** @param {{ tasks?: any[] } | null | undefined} state @returns {Interrupt[]} */
const interruptsOf = (state) => (state?.tasks ?? []).flatMap(({ interrupts }) => interrupts ?? []);

/** @param {import("./tree.js").State | undefined} state */
function asked(state) {
  const interrupts = interruptsOf(state);
  return interrupts.length === 1 ? interrupts[0].value : interrupts.length ? interrupts.map(({ value }) => value) : undefined;
}

/**
 * The calls that an answer has rejected, by their ids. A request tells name and arguments of an action, not which call
 * it comes from: it is the first such one of those that were just made.
 * @param {any} state the one that asked
 * @param {any} resume
 * @returns {string[]}
 */
export function rejectedIn(state, resume) {
  const calls = [...(messagesOf(state?.values).findLast((message) => message.tool_calls?.length)?.tool_calls ?? [])];
  const interrupts = interruptsOf(state);
  return interrupts.flatMap(({ id, value }) => {
    const request = readRequest(value);
    const decisions = decisionsOf(isUnderIds(resume) ? resume[id ?? ""] : interrupts.length === 1 ? resume : undefined);
    return (request.form === "open" ? [] : request.actions).flatMap(({ name, args }, place) => {
      const at = calls.findIndex((call) => call.name === name && !diff(call.args, args).length);
      const [call] = at < 0 ? [] : calls.splice(at, 1);
      return call?.id && ["reject", "ignore"].includes(decisions[place]?.type) ? [call.id] : [];
    });
  });
}

/** @param {any} answer @returns {any[]} */
const decisionsOf = (answer) => (Array.isArray(answer?.decisions) ? answer.decisions : Array.isArray(answer) ? answer : [answer]);

/** What is asked, as a line says it. @param {any} value */
function inShort(value) {
  const request = readRequest(value);
  if (request.form !== "open") return t("Run {names}?", { names: request.actions.map(({ name }) => name).join(", ") });
  const { question, rest } = questionOf(value);
  if (question) return question.replace(/\*\*|`|^#+ /gm, "").replace(/\s+/g, " ").trim();
  return typeof rest === "object" && rest !== null ? preview(rest) : String(rest ?? "");
}

/** @param {string} text */
const cut = (text) => (text.length > LONG ? `${text.slice(0, LONG - 1)}…` : text);

/**
 * An answer in a few words; empty when only the whole can say it.
 * @param {any} answer
 * @returns {string}
 */
export function inWords(answer) {
  if (typeof answer === "string") return cut(answer);
  if (typeof answer === "boolean") return answer ? t("Yes") : t("No");
  if (typeof answer === "number") return String(answer);
  const decisions = decisionsOf(answer);
  if (Array.isArray(answer) && answer.some((each) => !decisionInWords(each))) return answer.map(inWords).every(Boolean) ? answer.map(inWords).join(" · ") : "";
  const words = decisions.map((/** @type {any} */ each) => decisionInWords(each));
  return words.every(Boolean) ? words.join(" · ") : "";
}

/** @param {any} decision */
function decisionInWords(decision) {
  /** @type {Record<string, string>} */
  const words = { approve: t("approved"), accept: t("approved"), edit: t("approved with changes"), reject: t("rejected"), ignore: t("rejected"), respond: t("answered"), response: t("answered") };
  const said = decision?.message ?? (typeof decision?.args === "string" ? decision.args : "");
  const word = words[decision?.type];
  return word ? (said ? `${word}: ${said}` : word) : "";
}

/** @param {{ answer: Answer }} props */
export function Answered({ answer: { at, user, question, asks, answer } }) {
  const words = inWords(answer);
  const who = !user ? t("Answered") : user === page.user ? t("You answered") : t("{who} answered", { who: user });
  return html`<details className="answered">
    <summary><${Icon} name="check" />
      <span className="answered-words">${asks && html`<span data-raw>${asks}</span>`}<span>${words ? t("{who}: {words}", { who, words }) : who}</span></span>
      <${When} at=${at} /></summary>
    ${question !== undefined && html`<${Json} value=${question} label=${t("Question")} opened=${3} />`}
    <${Json} value=${answer} label=${t("Answer")} opened=${3} />
  </details>`;
}

/**
 * Who has answered what in the shown branch, and which calls were rejected with that; also what has just been answered
 * here, of which no checkpoint tells yet.
 * @param {import("./session.js").Session} session
 */
export function useAnswers({ client, threadId, past: { head, line, states }, version, answer }) {
  const [answers, setAnswers] = useState(/** @type {Answer[]} */ ([]));
  const [rejected, setRejected] = useState(NONE);
  useEffect(() => {
    let isHere = true;
    const hasAsked = line.some((state) => interruptsOf(state).length);
    const keep = (/** @type {Answer[]} */ read) => {
      if (!isHere) return;
      setAnswers(read);
      setRejected(new Set(read.flatMap((each) => each.rejected)));
    };
    if (!hasAsked) keep([]);
    else if (threadId && version) readAnswers(client, threadId, /** @type {any[]} */ (line), /** @type {any[]} */ (states)).then(keep, () => {});
    return () => {
      isHere = false;
    };
  }, [client, threadId, version, line]);
  const send = async (/** @type {any} */ resume) => {
    const isTaken = await answer(resume);
    if (isTaken) setRejected((before) => new Set([...before, ...rejectedIn(head, resume)]));
    return isTaken;
  };
  return { answers, rejected, send };
}
