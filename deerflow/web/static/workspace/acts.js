// What a person can have done on a thread at rest. Each of these starts one run, from somewhere on the shown branch.

import { firstOf, idOf } from "./branches.js";
import { newId, t } from "./strings.js";

/**
 * @typedef {object} Around what the acts need of the conversation
 * @property {any} client
 * @property {string | null} threadId
 * @property {ReturnType<typeof import("./past.js").usePast>} past
 * @property {any[]} messages as they are shown
 * @property {(input: any, shown: any[], options?: any) => Promise<boolean>} start
 * @property {(problem: string) => void} setProblem
 */

/** @param {string} checkpointId */
const at = (checkpointId) => ({ checkpoint_id: checkpointId, checkpoint_ns: "", checkpoint_map: null });

/** @param {any} content */
export const human = (content) => ({ type: "human", id: newId(), content });

/** @param {Around} around */
export function actsOf({ client, threadId, past, messages, start, setProblem }) {
  const thread = threadId ?? "";
  /** Where a run starts that goes on from what is shown; undefined: from the newest state. */
  const here = () => (past.chosen && past.head && past.chosen !== idOf(past.states[0]) ? at(past.chosen) : undefined);
  /** @param {string} messageId */
  const before = (messageId) => messages.slice(0, messages.findIndex((each) => each.id === messageId));

  const from = async (/** @type {string} */ messageId) => {
    const origin = past.places.get(messageId) ?? (await past.find(thread, messageId, past.chosen ?? undefined));
    if (!origin?.before) setProblem(t("This stands at the very beginning of the thread: there is nothing before it to go on from."));
    return origin?.before ? at(origin.before) : null;
  };

  const send = (/** @type {any} */ content) => {
    const said = human(content);
    return start({ messages: [said] }, [...messages, said], { checkpoint: here() });
  };

  /** Ask something else in place of a question: a new branch. */
  const edit = async (/** @type {string} */ messageId, /** @type {any} */ content) => {
    const checkpoint = await from(messageId);
    if (!checkpoint) return false;
    const said = human(content);
    return start({ messages: [said] }, [...before(messageId), said], { checkpoint });
  };

  /** Have an answer given once more, from its first message on: a new branch. */
  const again = async (/** @type {string} */ messageId) => {
    const checkpoint = await from(messageId);
    return checkpoint ? start(undefined, before(messageId), { checkpoint }) : false;
  };

  /** Try a run once more: the same input from the same place. */
  const retry = async (/** @type {string} */ runId) => {
    let first = firstOf(past.states, runId);
    if (!isInput(first)) first = firstOf(await past.refresh(thread, { follow: false, deep: true }).catch(() => past.states), runId);
    const run = isInput(first) ? null : await client.runs.get(thread, runId).catch(() => null);
    if (!run && !isInput(first)) return false;
    const { input, ...options } = onceMore(first, run?.kwargs);
    return start(input, messages, options);
  };

  const answer = async (/** @type {any} */ resume) => {
    if (await isStillOpen(client, thread, past.head)) return start(undefined, messages, { command: { resume }, checkpoint: here() });
    setProblem(t("Somebody else has answered this in the meantime."));
    await past.refresh(thread).catch(() => {});
    return false;
  };

  const goOn = (/** @type {{checkpoint?: any, values?: any}} */ { checkpoint, values }) =>
    start(values ?? undefined, messages, { checkpoint });

  return { send, edit, again, retry, answer, goOn };
}

/** @param {import("./branches.js").State | undefined} state */
const isInput = (state) => state?.metadata?.source === "input";

/**
 * How a run is had once more: from the checkpoint of its input, or, where it was given none, as it was made.
 * @param {import("./branches.js").State | undefined} first its oldest checkpoint; undefined: it has left none
 * @param {any} [kwargs] what it was made with
 */
export function onceMore(first, kwargs) {
  if (first && isInput(first)) return { input: undefined, checkpoint: at(idOf(first)) };
  const { input, command, config } = kwargs;
  const place = first?.parent_checkpoint?.checkpoint_id ?? config?.configurable?.checkpoint_id;
  return { input: input ?? undefined, command: command ?? undefined, checkpoint: place ? at(place) : undefined };
}

/** Whether the questions that are shown still wait for an answer. @param {any} client @param {string} threadId @param {any} head */
async function isStillOpen(client, threadId, head) {
  const state = await client.threads.getState(threadId).catch(() => null);
  if (!state || !head) return true;
  /** @param {any} each */
  const ids = (each) => (each.tasks ?? []).flatMap((/** @type {any} */ task) => task.interrupts ?? []).map((/** @type {any} */ one) => one.id);
  const open = new Set(ids(state));
  return ids(head).some((/** @type {string} */ id) => open.has(id));
}
