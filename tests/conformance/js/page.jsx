// A chat on one of the React hooks; the address says which, where the server is and which thread to open.
// What tests look at is in the page: messages, whether a run is under way, the question, the error, the run's id.

import { useStream as useNewest, useMessageMetadata } from "@langchain/react";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { useStream as useClassic1 } from "sdk1/react";
import { useStream as useClassic2 } from "sdk2/react";

const asked = new URLSearchParams(location.search);
const apiUrl = asked.get("api");
const apiKey = asked.get("key") ?? undefined;

// The HTTP calls, kept over a reload.
const calls = JSON.parse(sessionStorage.getItem("calls") ?? "[]");
const note = (...call) => {
  calls.push(call);
  sessionStorage.setItem("calls", JSON.stringify(calls));
};
const { fetch } = window;
window.fetch = async (resource, init) => {
  const { pathname } = new URL(resource.url ?? resource, location.href);
  const answer = await fetch(resource, init);
  note(init?.method ?? resource.method ?? "GET", pathname, answer.status);
  return answer;
};

// How long each answer was each time that it changed on the screen.
window.grown = {};
new MutationObserver(() => {
  for (const line of document.querySelectorAll("li[data-type=ai]")) {
    const lengths = (window.grown[line.dataset.id] ??= []);
    const { length } = line.querySelector("span").textContent;
    if (length !== lengths.at(-1)) lengths.push(length);
  }
}).observe(document, { subtree: true, childList: true, characterData: true });

function keepThread(threadId) {
  asked.set("thread", threadId);
  history.replaceState(null, "", `?${asked}`);
}

const typed = () => ({ messages: [{ type: "human", content: document.getElementById("text").value }] });

function useThread() {
  const [threadId, setThreadId] = useState(asked.get("thread"));
  return {
    threadId,
    onThreadId: (id) => {
      keepThread(id);
      setThreadId(id);
    },
  };
}

function Classic({ useStream }) {
  const [run, setRun] = useState("");
  const stream = useStream({
    apiUrl, apiKey, assistantId: "talking", ...useThread(),
    reconnectOnMount: true, fetchStateHistory: true, onCreated: (told) => setRun(told.run_id),
  });
  const lines = stream.messages.map((message, place) => {
    const seen = stream.getMessagesMetadata(message, place);
    return {
      id: message.id, type: message.type, text: message.content,
      edit: () => stream.submit(typed(), { checkpoint: seen?.firstSeenState?.parent_checkpoint }),
      branches: (seen?.branchOptions ?? []).map((branch) => () => stream.setBranch(branch)),
    };
  });
  return (
    <Chat
      lines={lines} loading={stream.isLoading} error={stream.error} question={stream.interrupt?.value} run={run}
      past={stream.history.length} send={() => stream.submit(typed())} stop={() => stream.stop()}
      resume={() => stream.submit(undefined, { command: { resume: "yes" } })}
    />
  );
}

function Newest() {
  const [run, setRun] = useState("");
  const stream = useNewest({
    apiUrl, apiKey, assistantId: "talking", ...useThread(), onCreated: (told) => setRun(told.runId),
  });
  const lines = stream.messages.map((message) => ({
    id: message.id, type: message.getType(), text: message.text, stream,
    edit: async () => stream.submit(typed(), { forkFrom: await before(stream, message) }),
  }));
  return (
    <Chat
      lines={lines} loading={stream.isLoading} error={stream.error} question={stream.interrupt?.value} run={run}
      past={stream.messages.length} send={() => stream.submit(typed())} stop={() => (run ? stream.stop() : stopFound(stream))}
      resume={() => stream.respond("yes", { interruptId: stream.interrupt.id })}
    />
  );
}

// The checkpoint from which a message was asked: what the hook itself knows of it is where its thread stood last.
async function before({ client, threadId }, { id }) {
  const states = await client.threads.getHistory(threadId, { limit: 100 });
  const first = states.findLast((state) => state.values.messages?.some((message) => message.id === id));
  return first.parent_checkpoint.checkpoint_id;
}

// The hook knows the id of a run only when it has started that run itself: of others it is asked for.
async function stopFound(stream) {
  const { client, threadId } = stream;
  const runs = await client.runs.list(threadId, { status: "running" });
  for (const run of runs) await client.runs.cancel(threadId, run.run_id);
  await stream.stop();
}

function Chat({ lines, loading, error, question, run, past, send, stop, resume }) {
  useEffect(() => {
    document.body.dataset.ready = "yes";
  }, []);
  return (
    <main>
      <ol>{lines.map((line, place) => <Line key={line.id ?? place} {...line} />)}</ol>
      <p id="state">{loading ? "loading" : "idle"}</p>
      <p id="error">{error == null ? "" : String(error.message ?? error)}</p>
      <p id="question">{question?.question ?? ""}</p>
      <p id="run">{run}</p>
      <p id="past">{past}</p>
      <input id="text" />
      <button id="send" onClick={send}>Send</button>
      <button id="stop" onClick={stop}>Stop</button>
      <button id="resume" onClick={resume}>Yes</button>
    </main>
  );
}

function Line({ id, type, text, edit, branches = [], stream }) {
  return (
    <li data-type={type} data-id={id}>
      <span>{text}</span>
      <button className="edit" onClick={edit}>Edit</button>
      {branches.map((choose, place) => <button key={place} className="branch" onClick={choose}>{place + 1}</button>)}
      {stream && <Again stream={stream} id={id} />}
    </li>
  );
}

function Again({ stream, id }) {
  const forkFrom = useMessageMetadata(stream, id)?.parentCheckpointId;
  return <button className="again" disabled={forkFrom == null} onClick={() => stream.submit(null, { forkFrom })}>Again</button>;
}

const hooks = {
  "classic-1.15": <Classic useStream={useClassic1} />,
  "classic-2.0": <Classic useStream={useClassic2} />,
  "v2-1.1": <Newest />,
};
createRoot(document.getElementById("root")).render(hooks[asked.get("hook")]);
