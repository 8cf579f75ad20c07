// Checkpoints as a tree: in which column each stands, which lines pass it, and what a person calls its place.

/**
 * @typedef {{
 *   checkpoint: { checkpoint_id?: string | null, checkpoint_ns?: string, thread_id?: string } | null,
 *   parent_checkpoint: { checkpoint_id?: string | null } | null,
 *   metadata: Record<string, any> | null, created_at: string | null,
 *   values: any, next: string[], tasks: any[],
 * }} State one of the thread's history
 * @typedef {{ state: State, id: string, column: number, passing: number[], joining: number[], isTip: boolean, goesOn: boolean }} Row
 *   passing: columns of other lines at its height; joining: columns of branches that begin here; goesOn: it has a parent
 */

/** @param {State} state */
export const idOf = (state) => state.checkpoint?.checkpoint_id ?? "";

/** @param {State} state */
export const parentOf = (state) => state.parent_checkpoint?.checkpoint_id ?? null;

/**
 * A row for each state, newest first as they come. A line keeps its column from its newest state down to where it
 * branched off; a free column is used again.
 * @param {State[]} states
 * @returns {Row[]}
 */
export function lay(states) {
  /** @type {(string | null)[]} what each column waits for: the id of the next state on its line */
  const columns = [];
  return states.map((state) => {
    const id = idOf(state);
    const waiting = columns.flatMap((wanted, column) => (wanted === id ? [column] : []));
    const column = waiting[0] ?? free(columns);
    for (const each of waiting) columns[each] = null;
    const passing = columns.flatMap((wanted, other) => (wanted !== null && wanted !== undefined ? [other] : []));
    columns[column] = parentOf(state);
    return { state, id, column, passing, joining: waiting.slice(1), isTip: !waiting.length, goesOn: columns[column] !== null };
  });
}

/** @param {(string | null)[]} columns */
function free(columns) {
  const place = columns.indexOf(null);
  return place < 0 ? columns.length : place;
}

/**
 * Where a state stands on its line: step *step* of *total*, the line being the one to the newest state that came of it.
 * LangGraph counts from -1, the input; people count from 1.
 * @param {State[]} states newest first, at least down to the one that is looked at
 * @param {string} id
 */
export function placeOf(states, id) {
  const here = states.find((state) => idOf(state) === id);
  if (!here) return null;
  const tip = states.find((state) => isBelow(states, state, id)) ?? here;
  return { step: stepOf(here), total: Math.max(stepOf(tip), stepOf(here)), isHead: idOf(states[0]) === id };
}

/** @param {State} state */
export const stepOf = (state) => (state.metadata?.step ?? -1) + 2;

/**
 * @param {State[]} states
 * @param {State} tip
 * @param {string} id
 */
function isBelow(states, tip, id) {
  const known = new Map(states.map((state) => [idOf(state), state]));
  for (let state = /** @type {State | undefined} */ (tip); state; state = known.get(parentOf(state) ?? "")) {
    if (idOf(state) === id) return true;
  }
  return false;
}

/**
 * The states of *more* put behind those of *states*: each once, also when the thread has grown meanwhile.
 * @param {State[]} states
 * @param {State[]} more
 */
export function joined(states, more) {
  const known = new Set(states.map(idOf));
  return [...states, ...more.filter((state) => !known.has(idOf(state)))];
}
