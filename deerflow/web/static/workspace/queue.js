// What waits behind the run that is under way or for its time to come, and taking it back.

import { html, useEffect, useState } from "../vendor/workspace-vendor.js";
import { messagesOf } from "./branches.js";
import { isScheduled } from "./runs.js";
import { clock, t } from "./strings.js";
import { firstQuestion } from "./turns.js";

/** @param {{session: import("./session.js").Session}} props */
export function Queue({ session }) {
  const { queued } = session;
  if (!queued.length) return null;
  return html`
    <section class="ws-queue" aria-label=${t("Waiting")}>
      <h2>${t("Queued")}</h2>
      <ol>${queued.map((run) => html`<${Waiting} key=${run.run_id} run=${run} session=${session} />`)}</ol>
    </section>
  `;
}

/** @param {{run: import("./runs.js").Run, session: import("./session.js").Session}} props */
function Waiting({ run, session }) {
  const [text, setText] = useState("");
  const [isGoing, setIsGoing] = useState(false);
  useEffect(() => {
    const { client, threadId } = session;
    client.runs.get(threadId ?? "", run.run_id).then(
      (/** @type {any} */ found) => setText(firstQuestion(messagesOf(found.kwargs?.input))),
      () => {},
    );
  }, [run.run_id]);
  const takeBack = () => {
    setIsGoing(true);
    void session.takeBack(run.run_id).finally(() => setIsGoing(false));
  };
  return html`<li>
    <span>${text || t("A run without a message")}</span>
    ${isScheduled(run) && html`<time dateTime=${run.run_at}>${t("begins {time}", { time: clock(run.run_at ?? "") })}</time>`}
    <button type="button" class="quiet" disabled=${isGoing} onClick=${takeBack}>${t("Take back")}</button>
  </li>`;
}
