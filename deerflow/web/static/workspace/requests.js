// What an agent asks a person, and what it is to be told: LangChain's two forms of asking for approval, and any other value.

import { t } from "./strings.js";

/**
 * @typedef {"approve" | "edit" | "reject" | "respond"} Decision
 * @typedef {{ name: string, args: unknown, description: string, allowed: Decision[] }} Action
 * @typedef {{ form: "current" | "older", actions: Action[] } | { form: "open", value: unknown }} Request
 * @typedef {{ kind: Decision | "text" | "json" | "yes" | "no", text: string }} Draft what a person has chosen and typed
 * @typedef {{ answer: unknown, wrong?: undefined } | { wrong: string }} Checked
 * @typedef {{ id?: string, value?: unknown, ns?: string[] }} Interrupt
 */

/** @type {Decision[]} */
const DECISIONS = ["approve", "edit", "reject", "respond"];
const MOST_ACTIONS = 5_000; // to decide about in one request; of more nobody draws a form

/**
 * What is asked. A request of approval that cannot be read as one is an open question, which takes any answer.
 * @param {any} value of an interrupt
 * @returns {Request}
 */
export function readRequest(value) {
  const current = currentActions(value);
  if (current?.length) return { form: "current", actions: current };
  const older = Array.isArray(value) && value.length > MOST_ACTIONS ? [] : (Array.isArray(value) ? value : [value]).map(olderAction);
  if (older.length && older.every((action) => action !== null)) {
    return { form: "older", actions: older };
  }
  return { form: "open", value };
}

/**
 * Those of ``{action_requests, review_configs}`` (langchain's HumanInTheLoopMiddleware); null when one allows nothing.
 * @param {any} value
 * @returns {Action[] | null}
 */
function currentActions(value) {
  if (!Array.isArray(value?.action_requests) || !Array.isArray(value.review_configs) || value.action_requests.length > MOST_ACTIONS) return null;
  const named = new Map(value.review_configs.map((/** @type {any} */ config) => [config?.action_name, config]).reverse());
  const actions = value.action_requests.map((/** @type {any} */ request, /** @type {number} */ place) => {
    const allowed = (named.get(request?.name) ?? value.review_configs[place])?.allowed_decisions;
    return {
      name: textOf(request?.name), args: request?.args ?? {}, description: textOf(request?.description),
      allowed: DECISIONS.filter((decision) => Array.isArray(allowed) && allowed.includes(decision)),
    };
  });
  return actions.every((/** @type {Action} */ { allowed }) => allowed.length) ? actions : null;
}

/**
 * One of ``{action_request: {action, args}, config: {allow_accept…}, description}`` (langgraph.prebuilt's HumanInterrupt).
 * @param {any} value
 * @returns {Action | null}
 */
function olderAction(value) {
  if (typeof value?.action_request?.action !== "string" || typeof value.config !== "object" || !value.config) return null;
  const { allow_accept, allow_edit, allow_ignore, allow_respond } = value.config;
  const may = { approve: allow_accept, edit: allow_edit, reject: allow_ignore, respond: allow_respond };
  const allowed = DECISIONS.filter((decision) => may[decision]);
  const { action, args } = value.action_request;
  return allowed.length ? { name: action, args: args ?? {}, description: textOf(value.description), allowed } : null;
}

/** @param {unknown} told */
const textOf = (told) => (typeof told === "object" && told !== null ? JSON.stringify(told) : String(told ?? ""));

/**
 * What one interrupt is to be told, or what is still wrong with it. The older form is answered with a list also where
 * it came alone: agents read ``interrupt(request)[0]``.
 * @param {Request} request
 * @param {(Draft | undefined)[]} drafts one for each action; for an open question one
 * @returns {Checked}
 */
export function answerOf(request, drafts) {
  if (request.form === "open") return openAnswer(drafts[0]);
  const { form, actions } = request;
  const checked = actions.map((action, place) => decided(form === "current", action, drafts[place]));
  const wrong = checked.find((each) => each.wrong !== undefined);
  if (wrong) return wrong;
  const answers = checked.map((each) => /** @type {{ answer: unknown }} */ (each).answer);
  return { answer: form === "current" ? { decisions: answers } : answers };
}

/**
 * @param {Draft | undefined} draft
 * @returns {Checked}
 */
function openAnswer(draft) {
  if (draft?.kind === "yes" || draft?.kind === "no") return { answer: draft.kind === "yes" };
  if (draft?.kind === "json") return parsed(draft.text);
  return draft?.text ? { answer: draft.text } : { wrong: t("Write an answer first.") };
}

/**
 * @param {boolean} isCurrent
 * @param {Action} action
 * @param {Draft | undefined} draft
 * @returns {Checked}
 */
function decided(isCurrent, action, draft) {
  if (!draft || !action.allowed.includes(/** @type {Decision} */ (draft.kind))) return { wrong: t("Decide first.") };
  const text = draft.text.trim();
  switch (draft.kind) {
    case "approve":
      return { answer: isCurrent ? { type: "approve" } : { type: "accept", args: null } };
    case "reject":
      if (!isCurrent) return { answer: { type: "ignore", args: null } };
      return { answer: text ? { type: "reject", message: text } : { type: "reject" } };
    case "respond":
      if (!text) return { wrong: t("Write an answer first.") };
      return { answer: isCurrent ? { type: "respond", message: text } : { type: "response", args: text } };
    default:
      return edited(isCurrent, action, text);
  }
}

/**
 * @param {boolean} isCurrent
 * @param {Action} action
 * @param {string} text
 * @returns {Checked}
 */
function edited(isCurrent, { name, args: before }, text) {
  const checked = parsed(text);
  if (checked.wrong !== undefined) return checked;
  const { answer: args } = checked;
  const isObject = typeof args === "object" && args !== null && !Array.isArray(args);
  if (!isObject && typeof before === "object") return { wrong: t("The arguments must be a JSON object: { … }.") };
  return { answer: isCurrent ? { type: "edit", edited_action: { name, args } } : { type: "edit", args: { action: name, args } } };
}

/**
 * A text read as JSON; what is wrong with it names line and column.
 * @param {string} text
 * @returns {Checked}
 */
export function parsed(text) {
  if (!text.trim()) return { wrong: t("Write JSON first.") };
  try {
    return { answer: JSON.parse(text) };
  } catch (error) {
    return { wrong: t("This is not JSON: {why}.", { why: /** @type {Error} */ (error).message }) };
  }
}

/**
 * What goes into command.resume: the value for one interrupt, a value under each id for several. ``null`` by itself
 * means "no answer" to the server, so it goes under its id too.
 * @param {Interrupt[]} interrupts
 * @param {unknown[]} answers
 */
export function resumeOf(interrupts, answers) {
  if (interrupts.length === 1 && (answers[0] !== null || !interrupts[0].id)) return answers[0];
  return Object.fromEntries(interrupts.map(({ id }, place) => [id, answers[place]]));
}

/**
 * The sentence of a value that a person should read first, and what is left of it.
 * @param {any} value
 * @returns {{ question: string, rest: unknown }}
 */
export function questionOf(value) {
  if (typeof value === "string") return { question: value, rest: undefined };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { question: "", rest: value };
  const name = ["question", "query", "prompt", "message", "text", "description", "title"].find((each) => typeof value[each] === "string" && value[each]);
  if (!name) return { question: "", rest: value };
  const { [name]: question, ...rest } = value;
  return { question, rest: Object.keys(rest).length ? rest : undefined };
}
