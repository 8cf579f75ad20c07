// What stands between the conversation and the composer: the connection, missing workers, failures, what went wrong.

import { html, useEffect, useState } from "../vendor/workspace-vendor.js";
import { page, t } from "./strings.js";
import { Traceback } from "./traceback.js";

const SHOW_WAITING_MS = 3000;

/** @param {{session: import("./session.js").Session}} props */
export function Notices({ session }) {
  const { link, problem, setProblem, isStreaming, isWaiting, phase } = session;
  return html`
    <div class="ws-notices" role="status">
      ${link.isSignedOut && html`<${SignedOut} threadId=${session.threadId} />`}
      ${link.isAway && !link.isSignedOut && html`<p class="ws-notice" data-notice="away">
        <span class="ws-pulse"></span>${isStreaming ? t("Reconnecting…") : t("Not connected. Trying again.")}</p>`}
      ${session.threadId && session.isOpen && !session.assistantId && session.messages.length > 0 && page.may_write && html`<p class="ws-notice" data-notice="no-agent">
        <span>${t("The agent of this thread is not there any more: it can be read, not gone on with.")}</span></p>`}
      ${isWaiting && phase === "running" && html`<${Waiting} />`}
      ${problem && html`<p class="ws-notice wrong" data-notice="problem"><span>${problem}</span>
        <button type="button" class="quiet" onClick=${() => setProblem(null)}>${t("Close")}</button></p>`}
    </div>
  `;
}

/** @param {{threadId: string | null}} props */
function SignedOut({ threadId }) {
  const here = threadId ? `/console/threads/${threadId}` : "/console/threads/new";
  return html`<p class="ws-notice" data-notice="signed-out">
    <span>${t("You are signed in no more. What you have written is kept.")}</span>
    <a class="button" href=${`${page.console}/login?next=${encodeURIComponent(here)}`}>${t("Sign in")}</a>
  </p>`;
}

/** A run that does not begin: it waits for its turn, or nobody is there to do it. */
function Waiting() {
  const [told, setTold] = useState(/** @type {string | null} */ (null));
  useEffect(() => {
    let isHere = true;
    const look = async () => {
      const said = await hasWorker();
      if (isHere) setTold(said ? t("Waiting for a worker that is free…") : t("No worker is running: the run begins as soon as there is one."));
    };
    const timer = setTimeout(look, SHOW_WAITING_MS);
    const timers = setInterval(look, 5000);
    return () => {
      isHere = false;
      clearTimeout(timer);
      clearInterval(timers);
    };
  }, []);
  return told && html`<p class="ws-notice" data-notice="waiting"><span class="ws-pulse"></span>${told}</p>`;
}

async function hasWorker() {
  try {
    const answer = await fetch(`${page.base}/ready`);
    return (await answer.json()).parts?.runs === "ok";
  } catch {
    return true;
  }
}

/** @param {{session: import("./session.js").Session, isReadOnly: boolean}} props */
export function Failure({ session, isReadOnly }) {
  const { failed } = session;
  if (!failed) return null;
  const { error, message } = failed.error ?? { error: failed.status === "timeout" ? t("Timeout") : t("Error"), message: "" };
  return html`
    <section class="ws-failure" data-run=${failed.run_id}>
      <div role="alert">
        <h2>${t("This run failed")}</h2>
        <p><code>${error}</code> ${message}</p>
      </div>
      <div class="ws-failure-acts">
        ${!isReadOnly && html`<button type="button" onClick=${() => session.retry(failed.run_id)}>${t("Try again")}</button>`}
        <a class="button quiet" href=${`${page.console}/runs/${failed.run_id}`}>${t("Open run")}</a>
      </div>
      ${page.is_admin && html`<${Traceback} key=${failed.run_id} runId=${failed.run_id} />`}
    </section>
  `;
}

/** A run that has halted before or after a node, with nothing asked. @param {{session: import("./session.js").Session, isReadOnly: boolean}} props */
export function Paused({ session, isReadOnly }) {
  if (!session.isPaused) return null;
  return html`
    <section class="ws-failure paused">
      <h2>${t("Halted before {nodes}", { nodes: session.nextNodes.join(", ") })}</h2>
      ${!isReadOnly && html`<div class="ws-failure-acts">
        <button type="button" onClick=${() => session.goOn({})}>${t("Go on")}</button></div>`}
    </section>
  `;
}
