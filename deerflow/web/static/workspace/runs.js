// The thread's runs as the server tells them: which are under way, why one failed, and what stopped ones have said.

import { useCallback, useMemo, useRef, useState } from "../vendor/workspace-vendor.js";
import { beyondState, hasFailed } from "./turns.js";

/**
 * @typedef {object} Run
 * @property {string} run_id
 * @property {string} status
 * @property {string} created_at
 * @property {string} [run_at] when it may start
 * @property {{error: string, message: string} | null} [error]
 */

const ACTIVE = new Set(["pending", "running"]);
const UNFINISHED = new Set(["interrupted", "error", "timeout"]);
const COLUMNS = ["run_id", "status", "created_at", "run_at"];
const AGAIN_MS = 1500;
/** Of how many runs that did not end well it is looked up what they had said. */
const MOST_UNSAID = 5;

/** @param {number} ms */
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Whether a run waits for a time of its own, and not for its turn. @param {Run} run */
export function isScheduled({ status, created_at, run_at }, now = Date.now()) {
  const at = Date.parse(run_at ?? "");
  return status === "pending" && at > now && at - Date.parse(created_at) > 1000; // else clocks that differ would do
}

/**
 * The run that is under way, or else the next; undefined: the thread is at rest, whatever begins later.
 * @param {Run[]} runs newest first
 */
export const underWay = (runs) => runs.findLast((run) => ACTIVE.has(run.status) && !isScheduled(run));

/**
 * What a thread's runs and its state come to, for people.
 * @param {{runs: Run[], current: string | null, isStreaming: boolean, head: any}} known
 */
export function standing({ runs, current, isStreaming, head }) {
  const ended = runs.find((run) => !ACTIVE.has(run.status));
  const newest = runs.find((run) => !isScheduled(run));
  const interrupts = isStreaming ? [] : (head?.tasks ?? []).flatMap((/** @type {any} */ task) => task.interrupts ?? []);
  const isBeginning = isStreaming && current === null; // whose run may be in the list already
  return {
    interrupts,
    queued: isBeginning ? [] : runs.filter((run) => run.status === "pending" && run.run_id !== current).toReversed(),
    failed: !isStreaming && ended && ended === newest && hasFailed(ended) ? ended : null,
    isWaiting: isStreaming && runs.find((run) => run.run_id === current)?.status === "pending",
    isPaused: !isStreaming && !interrupts.length && ended?.status === "success" && (head?.next ?? []).length > 0,
  };
}

/** Of readings that overtake each other: says, when one has come, whether none that began later was there before. */
export function inOrder() {
  let [begun, come] = [0, 0];
  return () => {
    const mine = ++begun;
    return () => {
      const isNewer = mine > come;
      if (isNewer) come = mine;
      return isNewer;
    };
  };
}

/**
 * The runs that are known of the thread, and reading them.
 * @param {any} client
 * @param {import("./api.js").Line} line
 * @param {{threadId: string | null}} now the thread at this moment
 */
export function useRuns(client, line, now) {
  const [runs, setRuns] = useState(/** @type {Run[]} */ ([]));
  const [unsaid, setUnsaid] = useState(/** @type {import("./turns.js").Unsaid[]} */ ([]));
  const [looked, failures] = [useRef(new Set()).current, useRef(new Map()).current];
  const begin = useMemo(inOrder, []);

  /** Read the thread's runs, newest first; null when that cannot be. */
  const read = useCallback(async () => {
    if (!now.threadId) return [];
    const isNewer = begin();
    try {
      const found = /** @type {Run[]} */ (await client.runs.list(now.threadId, { limit: 20, select: /** @type {any} */ (COLUMNS) }));
      if (found[0] && hasFailed(found[0])) found[0] = await withError(client, now.threadId, found[0], failures);
      if (isNewer()) setRuns(found);
      return found;
    } catch {
      return null;
    }
  }, [client]);

  /** The same, as soon as the server can be reached; null when it does not let us. */
  const reach = useCallback(async () => {
    for (;;) {
      const found = await read();
      if (found || !line.state.isAway) return found;
      await pause(AGAIN_MS);
    }
  }, [read]);

  /** Look up what runs that did not end well have said, as far as their events are kept. */
  const readUnsaid = useCallback(
    async (/** @type {Run[]} */ of) => {
      const wanted = of.filter((run) => UNFINISHED.has(run.status) && !looked.has(run.run_id)).slice(0, MOST_UNSAID);
      for (const run of wanted) {
        looked.add(run.run_id);
        const said = await unsaidOf(client, now.threadId ?? "", run);
        if (said) setUnsaid((before) => [...before.filter((each) => each.runId !== said.runId), said]);
      }
    },
    [client],
  );

  return { runs, unsaid, read, reach, readUnsaid };
}

/**
 * What a run has said beyond the state.
 * @param {any} client
 * @param {string} threadId
 * @param {Run} run
 */
async function unsaidOf(client, threadId, run) {
  const events = [];
  try {
    const told = client.runs.joinStream(threadId, run.run_id, { lastEventId: "-1", streamMode: ["values", "messages"] });
    for await (const event of told) events.push(event);
  } catch {
    return null;
  }
  const said = beyondState(events);
  return said && { ...said, runId: run.run_id, status: run.status };
}

/**
 * A run that failed, with why: lists do not tell.
 * @param {any} client
 * @param {string} threadId
 * @param {Run} run
 * @param {Map<string, Run["error"]>} known
 */
async function withError(client, threadId, run, known) {
  if (!known.has(run.run_id)) known.set(run.run_id, (await client.runs.get(threadId, run.run_id)).error ?? null);
  return { ...run, error: known.get(run.run_id) };
}
