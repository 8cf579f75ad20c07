// Where one writes: keys, drafts, attachments, and what Send means while a run is under way.

import { html, useCallback, useEffect, useLayoutEffect, useRef, useState } from "../vendor/workspace-vendor.js";
import { keepDraft, readDraft } from "./drafts.js";
import { Attachments, readFiles } from "./files.js";
import { page, t } from "./strings.js";

/**
 * What a key does in the field.
 * @param {{key: string, shiftKey: boolean, isComposing: boolean, keyCode?: number}} event keyCode 229: a key that an input
 *   method has taken (Safari ends the composition before it tells the Enter that ended it)
 * @param {boolean} isRunning
 * @returns {"send" | "stop" | null}
 */
export function actOf(event, isRunning) {
  if (event.isComposing || event.keyCode === 229) return null;
  if (event.key === "Enter" && !event.shiftKey) return "send";
  return event.key === "Escape" && isRunning ? "stop" : null;
}

/** A text with its images and files, as the agent takes it. @param {string} text @param {any[]} blocks */
export function contentOf(text, blocks) {
  return blocks.length ? [...(text.trim() ? [{ type: "text", text }] : []), ...blocks] : text;
}

/** @param {{session: import("./session.js").Session, isDisabled: boolean}} props */
export function Composer({ session, isDisabled }) {
  const { threadId, phase, isStreaming } = session;
  const [text, setText] = useState(() => readDraft(localStorage, page.user, threadId));
  const [blocks, setBlocks] = useState(/** @type {any[]} */ ([]));
  const [refused, setRefused] = useState(/** @type {{name: string, reason: string}[]} */ ([]));
  const [isSending, setIsSending] = useState(false);
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const files = useRef(/** @type {HTMLInputElement | null} */ (null));
  const isEmpty = !text.trim() && !blocks.length;

  const write = useCallback((/** @type {string} */ next) => {
    setText(next);
    keepDraft(localStorage, page.user, session.threadId, next);
  }, [session.threadId]);

  useLayoutEffect(() => grow(field.current), [text]);
  useEffect(() => {
    field.current?.setSelectionRange(text.length, text.length); // one goes on with a draft at its end
    if (!threadId || matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);

  useEffect(() => {
    // The button that had the focus is gone, Stop for one.
    if (phase === "resting" && document.activeElement === document.body && matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, [phase]);

  const attach = async (/** @type {FileList | null | undefined} */ list) => {
    if (!list?.length) return;
    const read = await readFiles(list, { limit: page.body_bytes, held: blocks });
    setBlocks((before) => [...before, ...read.blocks]);
    setRefused(read.refused);
  };

  /** Empty the field at once; what the server has not taken comes back. */
  const send = async (/** @type {(content: any) => Promise<boolean>} */ act) => {
    if (isEmpty || isSending || isDisabled) return;
    const sent = { text, blocks };
    keepDraft(localStorage, page.user, threadId, "");
    setText("");
    setBlocks([]);
    setRefused([]);
    setIsSending(true);
    const isTaken = await act(contentOf(text, blocks)).finally(() => setIsSending(false));
    if (isTaken) return;
    setBlocks(sent.blocks);
    setText((now) => (now ? now : sent.text));
    keepDraft(localStorage, page.user, threadId, sent.text);
  };
  const sendNow = () => send(isStreaming ? (content) => session.sendMeanwhile(content, "enqueue") : session.send);

  /** @param {any} event */
  const onKeyDown = (event) => {
    const act = actOf({ ...pick(event), isComposing: event.nativeEvent.isComposing }, isStreaming);
    if (act === null) return;
    event.preventDefault();
    if (act === "send") void sendNow();
    else void session.stop();
  };

  return html`
    <form class="ws-composer" onSubmit=${(/** @type {any} */ event) => (event.preventDefault(), void sendNow())}
      onDragOver=${(/** @type {any} */ event) => event.preventDefault()}
      onDrop=${(/** @type {any} */ event) => (event.preventDefault(), void attach(event.dataTransfer.files))}>
      ${refused.map((each) => html`<p class="wrong" role="alert" key=${each.name}>${each.name}: ${each.reason}</p>`)}
      ${blocks.length > 0 && html`<${Attachments} blocks=${blocks}
        onRemove=${(/** @type {number} */ place) => setBlocks((before) => before.filter((_, each) => each !== place))} />`}
      <textarea id="ws-text" ref=${field} rows=${1} value=${text} disabled=${isDisabled}
        aria-label=${t("Message")} placeholder=${isStreaming ? t("Write what comes next…") : t("Write a message…")}
        onChange=${(/** @type {any} */ event) => write(event.target.value)} onKeyDown=${onKeyDown}
        onPaste=${(/** @type {any} */ event) => event.clipboardData.files.length && (event.preventDefault(), void attach(event.clipboardData.files))}
      ></textarea>
      <div class="ws-composer-acts">
        <input ref=${files} type="file" multiple hidden onChange=${(/** @type {any} */ event) => {
          void attach(event.target.files).then(() => (event.target.value = ""));
        }} />
        <button type="button" class="quiet ws-attach" disabled=${isDisabled} title=${t("Attach images or files")}
          aria-label=${t("Attach images or files")} onClick=${() => files.current?.click()}>+</button>
        <span class="ws-hint">${isStreaming ? t("Esc stops") : t("Enter sends, Shift+Enter breaks the line")}</span>
        ${isStreaming && !isEmpty && html`
          <button type="button" class="quiet" onClick=${() => send((content) => session.sendMeanwhile(content, "interrupt"))}>${t("Stop and send")}</button>
          <button type="submit" class="quiet">${t("Send after this")}</button>`}
        ${isStreaming
          ? html`<button type="button" id="ws-stop" disabled=${phase === "stopping"} onClick=${() => session.stop()}>
              ${phase === "stopping" ? t("Stopping…") : t("Stop")}</button>`
          : html`<button type="submit" id="ws-send" disabled=${isEmpty || isDisabled || isSending}>${t("Send")}</button>`}
      </div>
    </form>
  `;
}

/** @param {any} event */
const pick = ({ key, shiftKey, keyCode }) => ({ key, shiftKey, keyCode });

const GROWS = typeof CSS !== "undefined" && CSS.supports("field-sizing", "content");

/** Let the field be as high as its text, in browsers whose fields do not do so by themselves. @param {HTMLTextAreaElement | null} field */
function grow(field) {
  if (!field || GROWS) return;
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight + 2, 240)}px`;
}
