// What stands in the conversation, row by row: the messages of the state, and what stopped runs have said beside it.

import { messagesOf } from "./branches.js";

/**
 * @typedef {object} Unsaid what a run has said that no checkpoint holds, because it was stopped or failed
 * @property {string} runId
 * @property {string} status
 * @property {string | null} after the last message of the state that the run saw
 * @property {any[]} messages
 */

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {any} message
 * @property {Unsaid} [unsaid]
 * @property {boolean} isLast
 */

/** Whether the same agent goes on speaking; no name is null in the state, and not there in what streams. @param {Row} row @param {Row | undefined} before */
export const goesOn = ({ message }, before) => message.type === "ai" && before?.message.type === "ai" && (message.name ?? null) === (before.message.name ?? null);

/**
 * The rows of a conversation. Results of tools are no rows: they stand with their calls.
 * @param {any[]} messages
 * @param {Unsaid[]} unsaid
 * @returns {Row[]}
 */
export function rowsOf(messages, unsaid) {
  /** @type {Row[]} */
  const rows = [];
  const called = new Set(messages.flatMap((message) => message.tool_calls ?? []).map((call) => call.id));
  messages.forEach((message, place) => {
    if (isRow(message, called)) rows.push({ key: message.id ?? `at ${place}`, message, isLast: false });
    for (const each of unsaid) {
      if (each.after !== message.id || isAnswered(messages, place)) continue;
      rows.push(...each.messages.filter((said) => isRow(said, called)).map((said) => rowOf(said, each)));
    }
  });
  const last = rows.at(-1);
  if (last) last.isLast = true;
  return rows;
}

/**
 * @typedef {object} FailedTurn a turn without an answer, from which somebody has gone on
 * @property {string} runId
 * @property {string} status
 * @property {string} error the class; empty when it is not known
 */

/**
 * The turns of a conversation that failed, by the row that each ends with.
 * @param {Row[]} rows
 * @param {import("./runs.js").Run[]} runs
 * @param {{places: Map<string, import("./branches.js").Origin>, line: import("./branches.js").State[]}} past
 * @param {boolean} isStreaming what comes now may be the answer
 */
export function failedTurns(rows, runs, { places, line }, isStreaming) {
  /** @type {Map<string, FailedTurn>} */
  const found = new Map();
  for (const { run_id: runId, status } of runs.filter(hasFailed)) {
    const place = rows.findLastIndex(({ message, unsaid }) => (unsaid ? unsaid.runId : places.get(message.id)?.runId) === runId);
    const next = rows[place + 1];
    if (place < 0 || (next ? next.message.type !== "human" : isStreaming)) continue;
    const newest = line.find(({ metadata }) => metadata?.run_id === runId);
    const error = String(newest?.tasks?.find((task) => task.error)?.error ?? "");
    found.set(rows[place].key, { runId, status, error: /^\w+/.exec(error)?.[0] ?? "" });
  }
  return found;
}

/** @param {{status: string}} run */
export const hasFailed = ({ status }) => status === "error" || status === "timeout";

/** @param {any} said @param {Unsaid} unsaid @returns {Row} */
function rowOf(said, unsaid) {
  return { key: `${unsaid.runId} ${said.id}`, message: said, unsaid, isLast: false };
}

/** @param {any} message @param {Set<string>} called */
function isRow(message, called) {
  return message.type === "tool" ? !called.has(message.tool_call_id) : message.type !== "remove";
}

/** Whether somebody has gone on in place of what was stopped here. @param {any[]} messages @param {number} place */
function isAnswered(messages, place) {
  const next = messages[place + 1];
  return next !== undefined && next.type !== "human";
}

/**
 * The results of tools by the id of their call.
 * @param {any[]} messages
 * @returns {Map<string, any>}
 */
export function resultsOf(messages) {
  return new Map(messages.filter((each) => each.type === "tool").map((each) => [each.tool_call_id, each]));
}

/** @type {WeakMap<object, string>} */
const texts = new WeakMap();

/** @param {any} message */
function textOf(message) {
  const found = texts.get(message) ?? JSON.stringify(message);
  texts.set(message, found);
  return found;
}

/**
 * The same messages, each as the object that it was before unless it says something else: what is drawn of it stays.
 * @param {any[]} before
 * @param {any[]} now
 */
export function steady(before, now) {
  if (before === now) return before;
  const known = new Map(before.map((message) => [message.id, message]));
  const kept = now.map((message) => {
    const was = message.id === undefined ? undefined : known.get(message.id);
    return was && (was === message || textOf(was) === textOf(message)) ? was : message;
  });
  return kept.length === before.length && kept.every((message, place) => message === before[place]) ? before : kept;
}

/**
 * What a run's events have said beyond its last state. Null: nothing.
 * @param {{event: string, data: any}[]} events as the API streams them
 * @returns {{after: string | null, messages: any[]} | null}
 */
export function beyondState(events) {
  let state = /** @type {any[]} */ ([]);
  const said = new Map();
  for (const { event, data } of events) {
    if (event === "values") state = messagesOf(data);
    if (event === "messages") add(said, data[0]);
  }
  const held = new Set(state.map((message) => message.id));
  const messages = [...said.values()].filter((message) => !held.has(message.id) && hasSaid(message));
  return messages.length ? { after: state.at(-1)?.id ?? null, messages } : null;
}

/** @param {Map<string, any>} said @param {any} part */
function add(said, part) {
  if (!part?.id || part.type === "human" || part.type === "remove") return;
  const before = said.get(part.id);
  const isChunk = part.type === "AIMessageChunk" || part.type?.endsWith?.("Chunk");
  const type = isChunk ? "ai" : part.type;
  if (!before || !isChunk) said.set(part.id, { ...part, type, tool_calls: part.tool_calls ?? [] });
  else said.set(part.id, { ...before, content: joined(before.content, part.content), tool_calls: before.tool_calls });
}

/** @param {any} one @param {any} other */
function joined(one, other) {
  if (typeof one === "string" && typeof other === "string") return one + other;
  const blocks = [one, other].flatMap((each) => (typeof each === "string" ? (each ? [{ type: "text", text: each }] : []) : each));
  const found = /** @type {any[]} */ ([]);
  for (const block of blocks) {
    const last = found.at(-1);
    const grows = last?.type === "text" && block.type === "text" && (block.index ?? null) === (last.index ?? null);
    if (grows) found[found.length - 1] = { ...last, text: last.text + block.text };
    else found.push(block);
  }
  return found;
}

/** @param {any} message */
function hasSaid(message) {
  return (typeof message.content === "string" ? message.content.trim() !== "" : message.content?.length > 0);
}

/**
 * The words of a message as plain text.
 * @param {any} message
 */
export function plainText(message) {
  const { content } = message ?? {};
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((block) => (typeof block === "string" ? block : typeof block?.text === "string" ? block.text : "")).filter(Boolean).join("\n");
}

/**
 * What a thread is called that nobody has named: its first question.
 * @param {any[]} messages
 */
export function firstQuestion(messages) {
  const words = plainText(messages.find((message) => message.type === "human")).replace(/\s+/g, " ").trim();
  return words.length > 80 ? `${words.slice(0, 79)}…` : words;
}
