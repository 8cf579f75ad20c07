// Who answered which question, and when: read from the runs that went on with an answer.

import { html } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { Json } from "./json.js";
import { idOf, parentOf } from "./tree.js";
import { page, t } from "./strings.js";
import { When } from "./when.js";

/**
 * @typedef {{ run_id: string, created_at: string, kwargs?: any }} Run
 * @typedef {{ runId: string, at: string, user: string | null, question: unknown, answer: unknown }} Answer
 */

const MOST = 30;

/** What runs were created with, which does not change. @type {Map<string, Promise<Run | null>>} */
const known = new Map();

/**
 * The answers of a thread, oldest first. Runs are listed without what they were given, which may be large: only those
 * are read that may have gone on with an answer.
 * @param {any} client
 * @param {string} threadId
 * @param {import("./tree.js").State[]} history newest first
 * @returns {Promise<Answer[]>}
 */
export async function readAnswers(client, threadId, history) {
  const listed = /** @type {Run[]} */ (await client.runs.list(threadId, { limit: 100, select: ["run_id", "created_at"] }));
  const read = await Promise.all(mayAnswer(listed, history).slice(0, MOST).map(({ run_id }) => readRun(client, threadId, run_id)));
  return answersIn(read.filter((run) => run !== null), history);
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
 * The question is what the checkpoint asked from which the run went on; who answered, what its checkpoints say.
 * @param {Run[]} runs
 * @param {import("./tree.js").State[]} history
 * @returns {Answer[]}
 */
export function answersIn(runs, history) {
  const byId = new Map(history.map((state) => [idOf(state), state]));
  return runs
    .filter(({ kwargs }) => kwargs?.command?.resume !== undefined && kwargs.command.resume !== null)
    .sort((one, other) => one.created_at.localeCompare(other.created_at))
    .map(({ run_id, created_at, kwargs }) => {
      const first = history.findLast(({ metadata }) => metadata?.run_id === run_id);
      const asking = first && byId.get(parentOf(first) ?? "");
      return { runId: run_id, at: created_at, user: first?.metadata?.user_id || null, question: asked(asking), answer: unwrapped(kwargs.command.resume) };
    });
}

/**
 * The answer itself, where it was sent under its question's id; of several a list.
 * @param {any} resume
 */
function unwrapped(resume) {
  const ids = typeof resume === "object" && resume !== null ? Object.keys(resume) : [];
  if (!ids.length || !ids.every((id) => /^[0-9a-f]{32}$/.test(id))) return resume;
  return ids.length === 1 ? resume[ids[0]] : Object.values(resume);
}

/** @param {import("./tree.js").State | undefined} state */
function asked(state) {
  const interrupts = (state?.tasks ?? []).flatMap(({ interrupts }) => interrupts ?? []);
  return interrupts.length === 1 ? interrupts[0].value : interrupts.length ? interrupts.map(({ value }) => value) : undefined;
}

/**
 * An answer in a few words; empty when only the whole can say it.
 * @param {any} answer
 * @returns {string}
 */
export function inWords(answer) {
  if (typeof answer === "string") return answer.length > 200 ? `${answer.slice(0, 199)}…` : answer;
  if (typeof answer === "boolean") return answer ? t("Yes") : t("No");
  if (typeof answer === "number") return String(answer);
  const decisions = Array.isArray(answer?.decisions) ? answer.decisions : Array.isArray(answer) ? answer : [answer];
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
export function Answered({ answer: { at, user, question, answer } }) {
  const words = inWords(answer);
  const who = !user ? t("Answered") : user === page.user ? t("You answered") : t("{who} answered", { who: user });
  return html`<details className="answered">
    <summary><${Icon} name="check" /><span>${words ? t("{who}: {words}", { who, words }) : who}</span><${When} at=${at} /></summary>
    ${question !== undefined && html`<${Json} value=${question} label=${t("Question")} opened=${3} />`}
    <${Json} value=${answer} label=${t("Answer")} opened=${3} />
  </details>`;
}
