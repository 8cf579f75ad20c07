// Writing a thread's state as a person has edited it. Graphs add to lists, merge objects or replace: from outside nobody
// can tell which. So each way of writing is tried on the same checkpoint until what is stored is what was typed.

import { diff, holds } from "./diff.js";
import { t } from "./strings.js";

/**
 * @typedef {Record<string, unknown>} Values
 * @typedef {{ thread_id?: string, checkpoint_id?: string | null, checkpoint_ns?: string }} Checkpoint
 * @typedef {{ threads: { updateState: (id: string, what: any) => Promise<any>, getState: (id: string, checkpoint: any) => Promise<any> } }} Client
 */

/** LangGraph: a message of this id empties the list, and what follows it is put in. */
const REMOVE_ALL = { type: "remove", id: "__remove_all__", content: "" };

/**
 * The names of the values that are different.
 * @param {Values} before
 * @param {Values} after
 */
export function changedIn(before, after) {
  return Object.keys(after).filter((name) => diff(before[name], after[name]).length);
}

/**
 * What is wrong with an edit; empty when nothing is.
 * @param {Values} before
 * @param {unknown} after
 */
export function wrongWith(before, after) {
  if (typeof after !== "object" || after === null || Array.isArray(after)) return t("The state must be a JSON object: { … }.");
  const missing = Object.keys(before).filter((name) => !(name in after));
  if (missing.length) return t("A value cannot be taken out, only emptied: {names}.", { names: missing.join(", ") });
  return changedIn(before, /** @type {Values} */ (after)).length ? "" : t("Nothing is changed yet.");
}

/**
 * The ways in which a value may be written, the likeliest first.
 * @param {unknown} before
 * @param {any} after
 */
export function waysOf(before, after) {
  const replaced = { __overwrite__: after };
  if (isMessages(before) && isMessages(after)) return [[REMOVE_ALL, ...after], after, replaced];
  return Array.isArray(after) ? [replaced, after] : [after, replaced];
}

/**
 * @param {any} list
 * @returns {list is any[]}
 */
const isMessages = (list) => Array.isArray(list) && list.every((each) => typeof each?.type === "string" && "content" in each);

/**
 * Write the values that were changed; the checkpoint that has them, and the names of those of which the graph has made
 * something else. Raises what the server says when no way of writing is taken.
 * @param {Client} client
 * @param {string} threadId
 * @param {Checkpoint} checkpoint
 * @param {Values} before
 * @param {Values} after
 */
export async function writeState(client, threadId, checkpoint, before, after) {
  const names = changedIn(before, after);
  const ways = new Map(names.map((name) => [name, waysOf(before[name], after[name])]));
  for (;;) {
    const update = Object.fromEntries(names.map((name) => [name, ways.get(name)?.[0]]));
    const { written, other, error } = await attempt(client, threadId, checkpoint, update, after);
    const again = names.filter((name) => (written ? other.includes(name) : true) && (ways.get(name)?.length ?? 0) > 1);
    if (!again.length) {
      if (!written) throw inOurWords(error);
      return { checkpoint: written, other };
    }
    for (const name of again) ways.get(name)?.shift();
  }
}

/**
 * @param {Client} client
 * @param {string} threadId
 * @param {Checkpoint} checkpoint
 * @param {Values} update
 * @param {Values} after
 * @returns {Promise<{ written: Checkpoint | null, other: string[], error?: unknown }>}
 */
async function attempt(client, threadId, checkpoint, update, after) {
  try {
    const { checkpoint: written } = await client.threads.updateState(threadId, { values: update, checkpoint });
    const { values } = await client.threads.getState(threadId, written);
    return { written, other: Object.keys(update).filter((name) => !holds(after[name], values?.[name])) };
  } catch (error) {
    if (/** @type {any} */ (error)?.status !== 400 && /** @type {any} */ (error)?.status !== 422) throw error;
    return { written: null, other: [], error };
  }
}

/**
 * LangGraph cannot tell after which of several nodes an edit comes; its words for that are for programmers.
 * @param {any} error
 */
function inOurWords(error) {
  if (!/Ambiguous update/.test(error?.message)) return error;
  return new Error(t("Several nodes have run side by side at this step, so an edit cannot be put after one of them. Choose another step."));
}
