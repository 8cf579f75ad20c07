// The lines of a thread: which states lead to the one that is shown, where each message came in, and what else might
// have come there. Pure: states go in as the API tells them (newest first), plain data comes out.

/**
 * @typedef {object} State
 * @property {{checkpoint_id: string, [more: string]: any}} checkpoint
 * @property {{checkpoint_id: string, [more: string]: any} | null} [parent_checkpoint]
 * @property {any} values
 * @property {string[]} next
 * @property {any[]} [tasks]
 * @property {Record<string, any>} [metadata]
 * @property {string} [created_at]
 */

/**
 * @typedef {object} Origin where a message came in
 * @property {string | null} before the checkpoint before it: a run from there makes another branch; null: not known
 * @property {string | null} runId
 * @property {string} [at]
 * @property {{leaves: string[], place: number}} [choice] the branches that part here, by the state each ends in
 */

/** @param {State} state */
export const idOf = (state) => state.checkpoint.checkpoint_id;
/** @param {State} state */
const parentOf = (state) => state.parent_checkpoint?.checkpoint_id ?? null;

/**
 * The messages of a state. What is none, of a graph that keeps other things under this name, is made one to be shown.
 * @param {any} values
 * @returns {any[]}
 */
export function messagesOf(values) {
  const found = Array.isArray(values?.messages) ? values.messages : [];
  if (found.every(isMessage)) return found;
  const made = asMessages.get(found) ?? found.map((/** @type {unknown} */ each) => (isMessage(each) ? each : { type: typeof each, content: [each] }));
  asMessages.set(found, made);
  return made;
}

/** @type {WeakMap<object, any[]>} */
const asMessages = new WeakMap();

/** A state whose messages are all such: the hook that streams looks into each of them. @param {State} state @returns {State} */
export function legible(state) {
  const messages = messagesOf(state.values);
  return !messages.length || messages === state.values.messages ? state : { ...state, values: { ...state.values, messages } };
}

/** @param {any} each */
const isMessage = (each) => isObject(each) && (each.tool_calls == null || (Array.isArray(each.tool_calls) && each.tool_calls.every(isObject)));

/** @param {unknown} each */
const isObject = (each) => typeof each === "object" && each !== null && !Array.isArray(each);

/**
 * States of two readings as one list, newest first; of a state that is in both, the later reading counts.
 * @param {State[]} known
 * @param {State[]} read
 */
export function merged(known, read) {
  const all = new Map([...known, ...read].map((state) => [idOf(state), state]));
  return [...all.values()].sort((one, other) => (idOf(one) < idOf(other) ? 1 : -1));
}

/**
 * The states that lead to one, that one first.
 * @param {State[]} states
 * @param {string | null | undefined} leaf
 */
export function lineage(states, leaf) {
  const byId = new Map(states.map((state) => [idOf(state), state]));
  const found = [];
  for (let at = leaf ? byId.get(leaf) : undefined; at; at = byId.get(parentOf(at) ?? "")) found.push(at);
  return found;
}

/**
 * Whether the line of a state is known to its beginning.
 * @param {State[]} line as `lineage` gives it
 */
export function isWhole(line) {
  const root = line.at(-1);
  return root === undefined || parentOf(root) === null;
}

/**
 * Where each message of the shown line came in.
 * @param {State[]} states
 * @param {State[]} line as `lineage` gives it
 * @returns {Map<string, Origin>}
 */
export function origins(states, line) {
  const children = byParent(states);
  const found = new Map();
  /** @type {Origin["choice"]} */
  let parting;
  const known = !isWhole(line) && line.length ? new Set(messagesOf(line[line.length - 1].values).map(keyOf)) : new Set();
  for (const state of line.toReversed()) {
    const siblings = children.get(parentOf(state)) ?? [];
    if (siblings.length > 1) parting = choiceOf(siblings, state, children);
    for (const message of messagesOf(state.values)) {
      if (known.has(keyOf(message))) continue;
      known.add(keyOf(message));
      found.set(keyOf(message), originOf(state, parting));
      parting = undefined;
    }
  }
  return found;
}

/** @param {any} message */
const keyOf = (message) => message.id;

/** @param {State} state @param {Origin["choice"]} choice @returns {Origin} */
function originOf(state, choice) {
  return { before: parentOf(state), runId: state.metadata?.run_id ?? null, at: state.created_at, choice };
}

/** @param {State[]} states @returns {Map<string | null, State[]>} oldest child first */
function byParent(states) {
  const found = new Map();
  for (const state of states.toReversed()) {
    const parent = parentOf(state);
    found.set(parent, [...(found.get(parent) ?? []), state]);
  }
  return found;
}

/** @param {State[]} siblings @param {State} shown @param {Map<string | null, State[]>} children */
function choiceOf(siblings, shown, children) {
  const leaves = siblings.map((sibling) => newestUnder(sibling, children));
  return { leaves, place: siblings.indexOf(shown) };
}

/** @param {State} state @param {Map<string | null, State[]>} children */
function newestUnder(state, children) {
  let newest = idOf(state);
  const open = [state];
  for (let each = open.pop(); each; each = open.pop()) {
    if (idOf(each) > newest) newest = idOf(each);
    open.push(...(children.get(idOf(each)) ?? []));
  }
  return newest;
}

/**
 * The checkpoint that a run began with: its input as it was taken; undefined when it has left none here.
 * @param {State[]} states newest first
 * @param {string} runId
 */
export function firstOf(states, runId) {
  return states.findLast((state) => state.metadata?.run_id === runId);
}
