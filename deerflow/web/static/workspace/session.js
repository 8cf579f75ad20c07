// The conversation with the server: the only file that knows useStream. The rest of the page gets plain data and functions.
//
// A run is followed to its end, then whatever else is under way on the thread, and only then is the thread at rest. What
// is shown meanwhile is what the hook streams; at rest it is the state at the end of the branch that is looked at.

import { useCallback, useEffect, useMemo, useRef, useState, useStream, useSyncExternalStore } from "../vendor/workspace-vendor.js";
import { actsOf, human } from "./acts.js";
import { Line, connect, ping } from "./api.js";
import { messagesOf } from "./branches.js";
import { usePast } from "./past.js";
import { pause, standing, underWay, useRuns } from "./runs.js";
import { saidOf } from "./told.js";
import { steady } from "./turns.js";

/** What is streamed of every run: all that a reader who comes later needs as well. @type {any} */
const HOW = { streamMode: ["messages-tuple", "values"], streamResumable: true };
const PAINT_MS = 30;
const LOOK_MS = 5000;
/** How often it is looked whether a run that waits has begun. */
const WAITING_MS = 1000;
/** How long a stop may take before the text stands still anyway. */
const STOP_MS = 1200;

/** @param {import("./strings.js").Page} page */
export function useSession(page) {
  const line = useMemo(() => new Line(), []);
  const client = useMemo(() => connect(page, line), [page, line]);
  const link = useSyncExternalStore(line.subscribe, line.snapshot);
  const [threadId, setThreadId] = useState(page.thread_id);
  const [assistantId, setAssistantId] = useState(page.assistant_id ?? "");
  const past = usePast(client, threadId);
  const [phase, setPhase] = useState(/** @type {"resting" | "running" | "stopping"} */ ("resting"));
  const [current, setCurrent] = useState(/** @type {string | null} */ (null));
  const [problem, setProblem] = useState(/** @type {string | null} */ (null));
  const [version, setVersion] = useState(0);
  /** What runs hold at this moment, for functions that outlive a rendering. */
  const now = useRef({ threadId, current: /** @type {string | null} */ (null), following: false, wantsStop: false, refreshed: false,
    failure: /** @type {any} */ (null), stopped: new Set(), onStarted: /** @type {(() => void) | null} */ (null) }).current;
  now.threadId = threadId;
  const { runs, unsaid, read: readRuns, reach: reachRuns, readUnsaid } = useRuns(client, line, now);

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
  const messages = steady(shownBefore.current, messagesOf(streamed.current ? { messages: streamed.current } : past.head?.values));
  shownBefore.current = messages;

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
      const next = underWay(read);
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
    if (now.following) return void (await readRuns()); // what waits, and whether it still does
    if (!now.threadId) return void (line.state.isAway && (await ping(page, line)));
    const read = await readRuns();
    if (!read || now.following) return;
    if (underWay(read)) await follow(async () => {});
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

  const found = standing({ runs, current, isStreaming, head: past.head });
  useEffect(() => {
    if (!found.isWaiting) return undefined;
    const timer = setInterval(() => document.visibilityState === "visible" && void readRuns(), WAITING_MS);
    return () => clearInterval(timer);
  }, [found.isWaiting, readRuns]);

  const acts = actsOf({ client, threadId, past, messages, start, setProblem });
  return {
    client, threadId, assistantId, setAssistantId, messages, unsaid, phase, isStreaming, link, problem, setProblem,
    runs, version, past, ...found,
    isOpen: past.isRead, nextNodes: past.head?.next ?? [],
    ...acts, sendMeanwhile, stop, takeBack, choose: past.choose,
  };
}

/** @typedef {ReturnType<typeof useSession>} Session */
