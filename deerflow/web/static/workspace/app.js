// The page: the conversation in the middle, the state at its side.

import { html, useCallback, useEffect, useState } from "../vendor/workspace-vendor.js";
import { useAnswers } from "./answered.js";
import { Approvals } from "./approval.js";
import { messagesOf } from "./branches.js";
import { Composer } from "./composer.js";
import { Guarded } from "./guarded.js";
import { Ear } from "./live.js";
import { Log } from "./log.js";
import { Looking } from "./looking.js";
import { Failure, Notices, Paused } from "./notice.js";
import { StatePanel } from "./panel.js";
import { pageSize } from "./past.js";
import { Queue } from "./queue.js";
import { useSession } from "./session.js";
import { page, t } from "./strings.js";
import { firstQuestion } from "./turns.js";

const aside = (/** @type {any} */ broken) => html`<div class="ws-log">${broken}</div>`;

export function App() {
  const session = useSession(page);
  const { threadId, messages, isStreaming } = session;
  const [isPanelOpen, setIsPanelOpen] = useState(() => lookedAt() !== null);
  const [newest, setNewest] = useState(/** @type {(() => void) | null} */ (null));
  const { lookingAt, looking, look } = useLooking();
  const isReadOnly = !page.may_write || lookingAt !== null;
  const shown = looking?.values ? messagesOf(looking.values) : messages;
  const title = page.title || firstQuestion(messages) || (threadId ? t("Untitled") : t("New thread"));
  const agent = page.agents.find((each) => each.assistant_id === session.assistantId);
  useEffect(() => {
    document.title = `${title} · DeerFlow`;
  }, [title]);
  const { answers, rejected, send } = useAnswers(session);
  const goOn = (/** @type {any} */ from) => {
    look(null);
    return session.goOn(from);
  };
  const isNew = !shown.length && !isStreaming && (!threadId || (session.isOpen && !session.runs.length && !hasState(session)));
  useEscape(session);
  return html`
    <div class="ws" data-phase=${session.phase} data-ready=${session.isOpen ? "yes" : "no"} data-panel=${isPanelOpen ? "open" : "shut"}>
      <${Head} title=${title} agent=${agent?.name ?? ""} session=${session} isPanelOpen=${isPanelOpen}
        onPanel=${() => setIsPanelOpen(!isPanelOpen)} />
      <div class="ws-main">
        <div class="ws-middle">
          ${looking && lookingAt && html`<${Looking} ...${looking} onBack=${() => look(null)} />`}
          ${isNew
            ? html`<${Welcome} session=${session} />`
            : html`<${Guarded} value=${shown} around=${aside}><${Log} session=${session} answers=${answers} rejected=${rejected} agent=${agent?.name ?? ""}
                messages=${shown} isReadOnly=${isReadOnly} onNewest=${setNewest}><${End} session=${session} isReadOnly=${isReadOnly} onAnswer=${send} /><//><//>`}
          <div class="ws-foot">
            ${newest && html`<button type="button" class="ws-newest quiet" onClick=${newest}>↓ ${t("Newest")}</button>`}
            <${Notices} session=${session} />
            <${Queue} session=${session} />
            ${page.may_write && html`<${Composer} session=${session} isDisabled=${lookingAt !== null || !session.assistantId} />`}
          </div>
        </div>
        ${isPanelOpen && threadId && session.isOpen && html`<aside class="ws-panel" aria-label=${t("State")}>
          <${Guarded} value=${session.past.head}><${StatePanel} client=${session.client} threadId=${threadId} lookingAt=${lookingAt} onLook=${look}
            onRun=${page.may_write ? goOn : undefined} isBusy=${isStreaming} version=${session.version} atOnce=${pageSize(session.past.head?.values)} /><//>
        </aside>`}
      </div>
      <${Ear} isStreaming=${isStreaming} messages=${messages} />
    </div>
  `;
}

const KINDS = { waiting: "idle", running: "live", asking: "ask", failed: "fail", stopped: "stop", idle: "idle" };

/** @param {any} props */
function Head({ title, agent, session, isPanelOpen, onPanel }) {
  return html`
    <header class="ws-head">
      <div class="ws-title">
        <h1 title=${title}>${title}</h1>
        ${agent && session.threadId && html`<span class="ws-agent">${agent}</span>`}
        ${session.threadId && html`<span class=${`badge ${KINDS[statusOf(session)]}`} id="ws-status" data-status=${statusOf(session)}>
          <span class="dot"></span>${statusWord(session)}</span>`}
      </div>
      ${session.threadId && html`<div class="ws-head-acts">
        ${page.may_write && html`<a class="button quiet" href=${`${page.console}/threads/new?agent=${session.assistantId}`} aria-label=${t("New thread")}>
          <span aria-hidden="true">+</span><span class="ws-wide">${t("New thread")}</span></a>`}
        <button type="button" class="quiet" aria-expanded=${isPanelOpen} onClick=${onPanel}>${t("State")}</button>
      </div>`}
    </header>
  `;
}

/** @param {import("./session.js").Session} session */
const hasState = ({ past }) => Object.keys(past.head?.values ?? {}).length > 0;

/** What stands below the last message. @param {any} props */
function End({ session, isReadOnly, onAnswer }) {
  const { isStreaming, interrupts, messages } = session;
  if (isReadOnly && page.may_write) return null;
  return html`
    ${!isStreaming && !messages.length && hasState(session) && html`<p class="ws-thinking">${t("This agent keeps no messages. What it has is under State.")}</p>`}
    ${isStreaming && messages.at(-1)?.type === "human" && html`<p class="ws-thinking"><span class="ws-pulse"></span>${t("Answering…")}</p>`}
    ${interrupts.length > 0 && page.may_write && html`<${Guarded} value=${interrupts}><${Approvals} interrupts=${interrupts} isBusy=${isStreaming} onAnswer=${onAnswer} /><//>`}
    <${Paused} session=${session} isReadOnly=${isReadOnly} />
    <${Failure} session=${session} isReadOnly=${isReadOnly} />
  `;
}

/** @param {{session: import("./session.js").Session}} props */
function Welcome({ session }) {
  const agent = page.agents.find((each) => each.assistant_id === session.assistantId);
  if (!agent && page.agents.length) {
    return html`<div class="ws-welcome"><h2>${t("There is no such agent")}</h2><${Pick} session=${session} /></div>`;
  }
  if (!page.agents.length) return html`<div class="ws-welcome"><h2>${t("There is no agent yet")}</h2><p>${t("Name a graph in langgraph.json and start the server again.")}</p></div>`;
  return html`
    <div class="ws-welcome">
      <h2>${t("Start a conversation with {agent}", { agent: agent?.name ?? "" })}</h2>
      ${agent?.description && html`<p class="ws-about">${agent.description}</p>`}
      <p>${t("Write a message below. The thread is kept, and you find it again under Threads.")}</p>
      ${page.agents.length > 1 && html`<${Pick} session=${session} />`}
    </div>
  `;
}

/** Whom to talk to. @param {{session: import("./session.js").Session}} props */
function Pick({ session }) {
  const isChosen = page.agents.some((each) => each.assistant_id === session.assistantId);
  return html`<label class="ws-pick">${t("Agent")}
    <select value=${session.assistantId} onChange=${(/** @type {any} */ event) => session.setAssistantId(event.target.value)}>
      ${!isChosen && html`<option value="" disabled>${t("Choose one")}</option>`}
      ${page.agents.map((each) => html`<option key=${each.assistant_id} value=${each.assistant_id}>${each.name}</option>`)}
    </select></label>`;
}

const lookedAt = () => new URLSearchParams(location.search).get("checkpoint");

/** Which checkpoint is looked at: it stands in the address, and the browser's Back leads away from it. */
function useLooking() {
  const [lookingAt, setLookingAt] = useState(lookedAt);
  const [looking, setLooking] = useState(/** @type {any} */ (null));
  const look = useCallback((/** @type {string | null} */ id, /** @type {any} */ facts = null) => {
    setLooking(id ? facts : null);
    setLookingAt(id);
    if (id === lookedAt()) return;
    history.pushState(null, "", id ? `${location.pathname}?checkpoint=${encodeURIComponent(id)}` : location.pathname);
  }, []);
  useEffect(() => {
    const onBack = () => {
      setLookingAt(lookedAt());
      if (!lookedAt()) setLooking(null);
    };
    addEventListener("popstate", onBack);
    return () => removeEventListener("popstate", onBack);
  }, []);
  return { lookingAt, looking, look };
}

/** Esc stops a run wherever the focus is. @param {import("./session.js").Session} session */
function useEscape(session) {
  const { isStreaming, stop } = session;
  useEffect(() => {
    if (!isStreaming) return undefined;
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) void stop();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [isStreaming, stop]);
}

/** @param {import("./session.js").Session} session */
function statusOf({ phase, isWaiting, interrupts, failed, queued, runs }) {
  if (phase !== "resting") return isWaiting ? "waiting" : "running";
  if (interrupts.length) return "asking";
  if (failed) return "failed";
  if (queued.length) return "waiting";
  return runs[0]?.status === "interrupted" ? "stopped" : "idle";
}

/** @param {import("./session.js").Session} session */
function statusWord(session) {
  const words = { waiting: t("Waiting"), running: t("Running"), asking: t("Needs approval"), failed: t("Failed"), stopped: t("Stopped"), idle: t("Idle") };
  return words[statusOf(session)];
}
