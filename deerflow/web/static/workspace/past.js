// The states of the thread as far as the page knows them, and which of its branches is shown.

import { useCallback, useMemo, useRef, useState } from "../vendor/workspace-vendor.js";
import { idOf, isWhole, legible, lineage, merged, messagesOf, origins } from "./branches.js";

/** @typedef {import("./branches.js").State} State */

const MOST_PAGES = 40;

const MOST_READ = 4_000_000; // characters

/** @type {WeakMap<object, number>} */
const sizes = new WeakMap();

/**
 * How many states are read at once: each holds all messages, so of long threads fewer, and each all values.
 * @param {any} values of the newest
 */
export function pageSize(values) {
  if (!values) return 100;
  const size = sizeOf(values);
  const ofMessages = Math.max(10, Math.min(100, Math.floor(4000 / Math.max(messagesOf(values).length, 1))));
  return Math.max(1, Math.min(ofMessages, Math.floor(MOST_READ / size)));
}

/** Its characters as JSON. A graph's state may also be a text or a number. @param {any} values */
function sizeOf(values) {
  if (typeof values !== "object") return String(values).length;
  const size = sizes.get(values) ?? JSON.stringify(values).length;
  sizes.set(values, size);
  return size;
}

/**
 * @param {any} client
 * @param {string | null} threadId
 */
export function usePast(client, threadId) {
  const [known, setKnown] = useState(/** @type {State[] | null} */ (threadId ? null : []));
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const latest = useRef(/** @type {State[]} */ ([]));

  const keep = useCallback((/** @type {State[]} */ read) => {
    latest.current = merged(latest.current, read.map(legible));
    setKnown(latest.current);
    return latest.current;
  }, []);

  const line = useMemo(() => lineage(known ?? [], chosen ?? (known?.[0] && idOf(known[0]))), [known, chosen]);
  const before = useRef(/** @type {Map<string, import("./branches.js").Origin>} */ (new Map()));
  const places = useMemo(() => (before.current = kept(before.current, origins(known ?? [], line))), [known, line]);

  /** Read the newest state, then those before it until they join what is known. */
  const refresh = useCallback(
    async (/** @type {string} */ id, { follow = true, deep = false } = {}) => {
      const before = new Set(latest.current.map(idOf));
      const head = /** @type {State} */ (await client.threads.getState(id));
      if (!head.checkpoint?.checkpoint_id) return keep([]);
      if (before.has(idOf(head)) && !deep) {
        keep([head]);
      } else {
        const size = pageSize(head.values);
        const read = await client.threads.getHistory(id, { limit: deep ? size : Math.min(size, 10) });
        await readUntil(client, id, [head, ...read], before, keep);
      }
      if (follow) setChosen(null);
      return latest.current;
    },
    [client, keep],
  );

  /** The newest state alone: enough to show the thread. */
  const open = useCallback(
    async (/** @type {string} */ id) => {
      const head = /** @type {State} */ (await client.threads.getState(id));
      return keep(head.checkpoint?.checkpoint_id ? [head] : []);
    },
    [client, keep],
  );

  /** Where a message came in, however far back that is. */
  const find = useCallback(
    async (/** @type {string} */ id, /** @type {string} */ messageId, /** @type {string | undefined} */ leaf) => {
      for (let pages = 0; pages < MOST_PAGES; pages += 1) {
        const found = lineage(latest.current, leaf ?? (latest.current[0] && idOf(latest.current[0])));
        const origin = origins(latest.current, found).get(messageId);
        const oldest = found.at(-1);
        if (origin || isWhole(found) || !oldest) return origin ?? null;
        const read = await client.threads.getHistory(id, {
          limit: Math.min(50, pageSize(oldest.values)), before: { configurable: { checkpoint_id: idOf(oldest) } },
        });
        if (!read.length) return null;
        keep(read);
      }
      return null;
    },
    [client, keep],
  );

  const newest = useCallback(() => latest.current[0], []);
  return { newest, states: known ?? [], isRead: known !== null, line, head: line[0], places, chosen, choose: setChosen, open, refresh, find };
}

/**
 * The same places, each as the object that it was before unless it says something else.
 * @param {Map<string, import("./branches.js").Origin>} before
 * @param {Map<string, import("./branches.js").Origin>} now
 */
function kept(before, now) {
  for (const [id, origin] of now) {
    const was = before.get(id);
    if (was && JSON.stringify(was) === JSON.stringify(origin)) now.set(id, was);
  }
  return now;
}

/**
 * Keep what was read, and read on while it does not join what was known before.
 * @param {any} client
 * @param {string} id
 * @param {State[]} read
 * @param {Set<string>} before
 * @param {(read: State[]) => State[]} keep
 */
async function readUntil(client, id, read, before, keep) {
  let all = read;
  for (let pages = 0; pages < 5; pages += 1) {
    const joins = before.size === 0 || all.some((state) => before.has(idOf(state))) || isWhole(lineage(all, idOf(all[0])));
    if (joins) break;
    const oldest = /** @type {State} */ (all.at(-1));
    const more = await client.threads.getHistory(id, { limit: Math.min(20, pageSize(oldest.values)), before: { configurable: { checkpoint_id: idOf(oldest) } } });
    if (!more.length) break;
    all = [...all, ...more];
  }
  keep(all);
}
