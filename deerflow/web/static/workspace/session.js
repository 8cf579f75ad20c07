// The conversation with the server: the only file that knows useStream. The rest of the page gets plain data and functions.
//
// A run is followed to its end, then whatever else is under way on the thread, and only then is the thread at rest. What
// is shown meanwhile is what the hook streams; at rest it is the state at the end of the branch that is looked at.

import { useCallback, useEffect, useMemo, useRef, useState, useStream, useSyncExternalStore } from "../vendor/workspace-vendor.js";
import { Line, connect, ping } from "./api.js";
import { firstOf, idOf, messagesOf } from "./branches.js";
import { usePast } from "./past.js";
import { newId, t } from "./strings.js";
import { beyondState, steady } from "./turns.js";

/**
 * @typedef {object} Run
 * @property {string} run_id
 * @property {string} status
 * @property {string} created_at
 * @property {{error: string, message: string} | null} [error]
 */

const ACTIVE = new Set(["pending", "running"]);
const UNFINISHED = new Set(["interrupted", "error", "timeout"]);
const COLUMNS = ["run_id", "status", "created_at"];
const FAILED = new Set(["error", "timeout"]);
/** What is streamed of every run: all that a reader who comes later needs as well. @type {any} */
const HOW = { streamMode: ["messages-tuple", "values"], streamResumable: true };
const PAINT_MS = 30;
const LOOK_MS = 5000;
const AGAIN_MS = 1500;
/** How long a stop may take before the text stands still anyway. */
const STOP_MS = 1200;
/** Of how many runs that did not end well it is looked up what they had said. */
const MOST_UNSAID = 5;

/** @param {number} ms */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** @param {import("./strings.js").Page} page */
export function useSession(page) {
  const line = useMemo(() => new Line(), []);
  const client = useMemo(() => connect(page, line), [page, line]);
  const link = useSyncExternalStore(line.subscribe, line.snapshot);
  const [threadId, setThreadId] = useState(page.thread_id);
  const [assistantId, setAssistantId] = useState(page.assistant_id ?? "");
  const past = usePast(client, threadId);
  const [runs, setRuns] = useState(/** @type {Run[]} */ ([]));
  const [phase, setPhase] = useState(/** @type {"resting" | "running" | "stopping"} */ ("resting"));
  const [current, setCurrent] = useState(/** @type {string | null} */ (null));
  const [unsaid, setUnsaid] = useState(/** @type {import("./turns.js").Unsaid[]} */ ([]));
  const [problem, setProblem] = useState(/** @type {string | null} */ (null));
  const [version, setVersion] = useState(0);
  /** What runs hold at this moment, for functions that outlive a rendering. */
  const now = useRef({ threadId, current: /** @type {string | null} */ (null), following: false, wantsStop: false, refreshed: false,
    failure: /** @type {any} */ (null), stopped: new Set(), looked: new Set(), failures: new Map(), onStarted: /** @type {(() => void) | null} */ (null) }).current;
  now.threadId = threadId;

  const tellRun = (/** @type {string | null} */ runId) => {
    now.current = runId;
    setCurrent(runId);
  };

  const thread = {
    data: past.head ? [/** @type {any} */ (past.head)] : [],
    error: undefined,
    isLoading: !past.isRead,
    mutate: async (/** @type {string | undefined} */ id) => {
      now.refreshed = true;
      const states = await past.refresh(id ?? now.threadId ?? "");
      return /** @type {any} */ (states.slice(0, 1));
    },
  };
  const stream = useStream({
    client, assistantId, threadId, thread,
    onThreadId: (/** @type {string} */ id) => {
      now.threadId = id;
      setThreadId(id);
      history.pushState(null, "", `${page.console}/threads/${id}`);
    },
    fetchStateHistory: true,
    throttle: PAINT_MS,
    onCreated: (/** @type {{run_id: string}} */ { run_id }) => {
      tellRun(run_id);
      now.onStarted?.();
      if (now.wantsStop) void cancel(run_id);
    },
    onError: (/** @type {any} */ error) => {
      now.failure = error;
    },
  });
  const live = useRef(stream);
  live.current = stream;

  // Messages as they are streamed, until the state has them: the hook lets go of them a moment before.
  const streamed = useRef(/** @type {any[] | null} */ (null));
  const isStreaming = phase !== "resting";
  if (!isStreaming) streamed.current = null;
  else if (stream.values !== past.head?.values) streamed.current = stream.messages;
  const shownBefore = useRef(/** @type {any[]} */ ([]));
  const messages = steady(shownBefore.current, streamed.current ?? messagesOf(past.head?.values));
  shownBefore.current = messages;

  /** Read the thread's runs, newest first; null when that cannot be. */
  const readRuns = useCallback(async () => {
    if (!now.threadId) return [];
    try {
      const read = /** @type {Run[]} */ (await client.runs.list(now.threadId, { limit: 20, select: /** @type {any} */ (COLUMNS) }));
      if (read[0] && FAILED.has(read[0].status)) read[0] = await withError(client, now.threadId, read[0], now.failures);
      setRuns(read);
      return read;
    } catch {
      return null;
    }
  }, [client]);

  /** The same, as soon as the server can be reached; null when it does not let us. */
  const reachRuns = useCallback(async () => {
    for (;;) {
      const read = await readRuns();
      if (read) return read;
      if (!line.state.isAway) return null;
      await pause(AGAIN_MS);
    }
  }, [readRuns]);

  /** Look up what runs that did not end well have said, as far as their events are kept. */
  const readUnsaid = useCallback(
    async (/** @type {Run[]} */ read) => {
      const wanted = read.filter((run) => UNFINISHED.has(run.status) && !now.looked.has(run.run_id)).slice(0, MOST_UNSAID);
      for (const run of wanted) {
        now.looked.add(run.run_id);
        const said = await unsaidOf(client, now.threadId ?? "", run);
        if (said) setUnsaid((before) => [...before.filter((each) => each.runId !== said.runId), said]);
      }
    },
    [client],
  );

  /** Follow a run, and after it whatever is under way, until the thread is at rest. */
  const follow = useCallback(
    async (/** @type {() => Promise<void>} */ start) => {
      if (now.following) return;
      Object.assign(now, { following: true, wantsStop: false, failure: null, refreshed: false });
      setProblem(null);
      setPhase("running");
      try {
        await start();
        await followRest();
      } finally {
        now.following = false;
        tellRun(null);
        setPhase("resting");
        setVersion((before) => before + 1);
      }
    },
    [client],
  );

  const followRest = async () => {
    for (;;) {
      const read = await reachRuns();
      if (!read) return;
      const next = read.findLast((run) => ACTIVE.has(run.status));
      if (!next) {
        await readUnsaid(read);
        if (!now.refreshed && now.threadId) await past.refresh(now.threadId).catch(() => {});
        return;
      }
      if (now.stopped.has(next.run_id)) {
        await pause(300);
        continue;
      }
      tellRun(next.run_id);
      setPhase("running");
      await readUnsaid(read);
      now.refreshed = false;
      await live.current.joinStream(next.run_id);
    }
  };

  /** Look whether something has begun or ended elsewhere. */
  const look = useCallback(async () => {
    if (now.following) return;
    if (!now.threadId) return void (line.state.isAway && (await ping(page, line)));
    const read = await readRuns();
    if (!read || now.following) return;
    if (read.some((run) => ACTIVE.has(run.status))) await follow(async () => {});
    else await readUnsaid(read);
  }, [follow, readRuns, readUnsaid]);

  useEffect(() => {
    if (!page.thread_id) return;
    const id = page.thread_id;
    void open(id);
    async function open(/** @type {string} */ wanted) {
      await past.open(wanted).catch((error) => setProblem(saidOf(error)));
      await look();
      await past.refresh(wanted, { follow: false, deep: true }).catch(() => {});
      setVersion((before) => before + 1);
    }
  }, []);

  useEffect(() => {
    // The browser's Back may lead from a thread to the page on which it began.
    const onBack = () => location.pathname.endsWith(`/${now.threadId ?? "new"}`) || location.reload();
    addEventListener("popstate", onBack);
    return () => removeEventListener("popstate", onBack);
  }, []);

  const newest = runs[0]?.run_id;
  const seen = useRef(newest);
  useEffect(() => {
    const wasSeen = seen.current;
    seen.current = newest;
    if (wasSeen && newest && wasSeen !== newest && !now.following && now.threadId) {
      void past.refresh(now.threadId).then(() => setVersion((before) => before + 1), () => {});
    }
  }, [newest]);

  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && void look(), LOOK_MS);
    const back = () => document.visibilityState === "visible" && void look();
    document.addEventListener("visibilitychange", back);
    addEventListener("online", back);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", back);
      removeEventListener("online", back);
    };
  }, [look]);

  /** Start a run; what the person sees at once is *shown*. False when the server has not taken it. */
  const start = async (/** @type {any} */ input, /** @type {any[]} */ shown, /** @type {any} */ options = {}) => {
    let isTaken = false;
    now.onStarted = () => {
      isTaken = true;
    };
    const begun = follow(() =>
      live.current.submit(input, {
        ...options, ...HOW, optimisticValues: { messages: shown }, onDisconnect: "continue",
      }),
    );
    await Promise.race([begun, new Promise((done) => (now.onStarted = () => done((isTaken = true))))]);
    const said = input?.messages?.at(-1)?.id;
    const hasArrived = said && messagesOf(past.newest()?.values).some((message) => message.id === said);
    if (isTaken || hasArrived) return true; // it may have arrived though its answer has not
    setProblem(saidOf(now.failure));
    return false;
  };

  /** Where a run starts that goes on from what is shown; undefined: from the newest state. */
  const here = () => (past.chosen && past.head && past.chosen !== idOf(past.states[0]) ? at(past.chosen) : undefined);
  const human = (/** @type {any} */ content, id = newId()) => ({ type: "human", id, content });

  const send = (/** @type {any} */ content) => {
    const said = human(content);
    return start({ messages: [said] }, [...messages, said], { checkpoint: here() });
  };

  /** Send while a run is under way: after it (`enqueue`), or in its place (`interrupt`). */
  const sendMeanwhile = async (/** @type {any} */ content, /** @type {"enqueue" | "interrupt"} */ strategy) => {
    if (!now.threadId) return false;
    try {
      await client.runs.create(now.threadId, assistantId, {
        ...HOW, input: { messages: [human(content)] }, multitaskStrategy: strategy,
      });
    } catch (error) {
      setProblem(saidOf(error));
      return false;
    }
    const read = await readRuns();
    if (read && !now.following) void look();
    return true;
  };

  const from = async (/** @type {string} */ messageId) => {
    const origin = past.places.get(messageId) ?? (await past.find(now.threadId ?? "", messageId, past.chosen ?? undefined));
    if (!origin?.before) setProblem(t("This stands at the very beginning of the thread: there is nothing before it to go on from."));
    return origin?.before ? at(origin.before) : null;
  };

  const before = (/** @type {string} */ messageId) => messages.slice(0, messages.findIndex((each) => each.id === messageId));

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
    const known = firstOf(past.states, runId);
    const isBeginning = known?.metadata?.source === "input";
    const states = isBeginning ? past.states : await past.refresh(now.threadId ?? "", { follow: false, deep: true }).catch(() => past.states);
    const first = firstOf(states, runId);
    if (first?.metadata?.source === "input") return start(undefined, messages, { checkpoint: at(idOf(first)) });
    const run = await client.runs.get(now.threadId ?? "", runId).catch(() => null);
    if (!run) return false;
    const { input, command, config } = /** @type {any} */ (run).kwargs;
    const place = first?.parent_checkpoint?.checkpoint_id ?? config?.configurable?.checkpoint_id;
    return start(input ?? undefined, messages, { command: command ?? undefined, checkpoint: place ? at(place) : undefined });
  };

  const answer = async (/** @type {any} */ resume) => {
    const isOpen = await isStillOpen(client, now.threadId ?? "", past.head);
    if (!isOpen) {
      setProblem(t("Somebody else has answered this in the meantime."));
      await past.refresh(now.threadId ?? "").catch(() => {});
      return false;
    }
    return start(undefined, messages, { command: { resume }, checkpoint: here() });
  };

  const goOn = (/** @type {{checkpoint?: any, values?: any}} */ { checkpoint, values }) =>
    start(values ?? undefined, messages, { checkpoint });

  const cancel = async (/** @type {string} */ runId) => {
    now.stopped.add(runId);
    await client.runs.cancel(now.threadId ?? "", runId).catch((/** @type {any} */ error) => {
      if (error.status !== 404) {
        now.stopped.delete(runId);
        setProblem(saidOf(error));
        setPhase("running");
      }
    });
  };

  const stop = async () => {
    if (!now.following) return;
    setPhase("stopping");
    const runId = now.current;
    now.wantsStop = runId === null;
    if (runId === null) return;
    await cancel(runId);
    await pause(STOP_MS);
    if (now.following && now.current === runId && now.stopped.has(runId)) await live.current.stop();
  };

  /** A run that has not begun leaves nothing; one that has begun just now is undone. */
  const takeBack = async (/** @type {string} */ runId) => {
    await client.runs.cancel(now.threadId ?? "", runId, false, "rollback").catch(() => {});
    await readRuns();
  };

  const queued = runs.filter((run) => run.status === "pending" && run.run_id !== current).toReversed();
  const ended = runs.find((run) => !ACTIVE.has(run.status));
  const failed = !isStreaming && ended && ended === runs[0] && FAILED.has(ended.status) ? ended : null;
  const isWaiting = isStreaming && runs.find((run) => run.run_id === current)?.status === "pending";
  const interrupts = isStreaming ? [] : (past.head?.tasks ?? []).flatMap((task) => task.interrupts ?? []);
  const isPaused = !isStreaming && !interrupts.length && ended?.status === "success" && (past.head?.next ?? []).length > 0;

  return {
    client, threadId, assistantId, setAssistantId, messages, unsaid, phase, isStreaming, isWaiting, link, problem, setProblem,
    interrupts, isPaused, failed, queued, runs, version, past, readRuns,
    isOpen: past.isRead, nextNodes: past.head?.next ?? [],
    send, sendMeanwhile, edit, again, retry, answer, goOn, stop, takeBack, choose: past.choose,
  };
}

/** @typedef {ReturnType<typeof useSession>} Session */

/** @param {string} checkpointId */
const at = (checkpointId) => ({ checkpoint_id: checkpointId, checkpoint_ns: "", checkpoint_map: null });

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

/** Whether the questions that are shown still wait for an answer. @param {any} client @param {string} threadId @param {any} head */
async function isStillOpen(client, threadId, head) {
  const state = await client.threads.getState(threadId).catch(() => null);
  if (!state || !head) return true;
  /** @param {any} each */
  const ids = (each) => (each.tasks ?? []).flatMap((/** @type {any} */ task) => task.interrupts ?? []).map((/** @type {any} */ one) => one.id);
  const open = new Set(ids(state));
  return ids(head).some((/** @type {string} */ id) => open.has(id));
}

/** What the server has said to a request, for people. @param {any} error */
export function saidOf(error) {
  if (error?.status === 401) return null;
  if (error?.name === "ConnectionError" || error instanceof TypeError) return t("The server could not be reached. What you have written is kept.");
  const told = /\{.*\}$/s.exec(error?.message ?? "");
  try {
    return told ? String(JSON.parse(told[0]).detail) : (error?.message ?? t("That did not go through."));
  } catch {
    return error?.message ?? t("That did not go through.");
  }
}
