// The conversation: its rows, what can be done with each, and where the reader is in it.

import { Fragment, html, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/workspace-vendor.js";
import { Answered } from "./answered.js";
import { Copy } from "./copy.js";
import { Guarded } from "./guarded.js";
import { MOST_EDITED } from "./long.js";
import { Message } from "./message.js";
import { readRequest } from "./requests.js";
import { clock, page, t } from "./strings.js";
import { toolTimes } from "./tools.js";
import { failedTurns, goesOn, plainText, resultsOf, rowsOf } from "./turns.js";

const NEAR = 80;
const NONE = new Map();

/**
 * Keeps a scrolling box at its end while the reader is there, and leaves it alone when they are not.
 * @param {unknown} grown changes whenever there may be more to see
 */
export function useEnd(grown) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const isAtEnd = useRef(true);
  const [isAway, setIsAway] = useState(false);
  const toEnd = useCallback(() => {
    isAtEnd.current = true; // rows that come into sight become as high as they are, and the end moves on
    box.current?.scrollTo({ top: box.current.scrollHeight, behavior: "instant" });
  }, []);
  useLayoutEffect(() => {
    if (isAtEnd.current) toEnd();
  }, [grown, toEnd]);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const onScroll = () => {
      isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      setIsAway(!isAtEnd.current);
    };
    const sized = new ResizeObserver(() => isAtEnd.current && toEnd());
    element.addEventListener("scroll", onScroll, { passive: true });
    sized.observe(element);
    const watch = () => [...element.children].forEach((child) => sized.observe(child));
    const added = new MutationObserver(watch); // a question comes later, and grows where one answers it
    added.observe(element, { childList: true });
    watch();
    return () => {
      added.disconnect();
      sized.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, [toEnd]);
  return { box, isAway, toEnd };
}

/**
 * @param {{session: import("./session.js").Session, agent: string, answers: import("./answered.js").Answer[], rejected: Set<string>, messages: any[],
 *   isReadOnly: boolean, children?: any,
 *   onNewest: (toEnd: any) => void}} props onNewest is told how to come to the end while the reader is not there
 */
export function Log({ session, agent, answers, rejected, messages, isReadOnly, children, onNewest }) {
  const { unsaid, isStreaming, interrupts, past, runs, failed } = session;
  const rows = useMemo(() => rowsOf(messages, unsaid), [messages, unsaid]);
  const results = useResults(messages);
  const { box, isAway, toEnd } = useEnd(rows);
  const acts = useActs(session);
  useEffect(() => onNewest(() => (isAway ? toEnd : null)), [isAway, onNewest, toEnd]);
  const firsts = useMemo(() => firstAnswers(rows), [rows]);
  const times = useMemo(() => toolTimes(/** @type {any[]} */ (past.line)), [past.line]);
  const ended = useMemo(() => runs.filter((run) => run !== failed), [runs, failed]); // why that one failed stands at the end
  const failures = useMemo(() => failedTurns(rows, ended, past, isStreaming), [rows, ended, past.places, past.line, isStreaming]);
  const waits = waitFor(interrupts);
  const answered = useMemo(() => placed(answers, rows, past.places), [answers, rows, past.places]);
  return html`
    <div class="ws-log" ref=${box} tabIndex=${0} role="region" aria-label=${t("Conversation")}>
      <ol class="ws-rows">
        ${rows.map(
          (row, place) => html`<${Fragment} key=${row.key}>${(answered.get(row.key) ?? NOTHING).map(told)}<${Guarded} value=${row.message} around=${inRow}><${Row}
            message=${row.message} unsaid=${row.unsaid} hasFailed=${failures.has(row.key)} isLast=${row.isLast} results=${results.of(row.message)} origin=${past.places.get(row.message.id)}
            again=${firsts.get(row.key) ?? null} acts=${acts} agent=${agent} isStreaming=${isStreaming && row.isLast && !row.unsaid}
            isReadOnly=${isReadOnly} goesOn=${goesOn(row, rows[place - 1]) && !answered.has(row.key)} times=${row.message.tool_calls?.length ? times : undefined}
            rejected=${row.message.tool_calls?.length ? rejected : undefined} waits=${row.isLast && messages === session.messages ? waits : undefined}
          /><//>${failures.has(row.key) && html`<${Failed} ...${failures.get(row.key)} />`}<//>`,
        )}
        ${(messages === session.messages ? (answered.get(null) ?? NOTHING) : NOTHING).map(told)}
      </ol>
      ${children}
    </div>
  `;
}

const NOTHING = /** @type {import("./answered.js").Answer[]} */ ([]);

/** @param {any} broken */
const inRow = (broken) => html`<li class="ws-row">${broken}</li>`;

/** @param {import("./answered.js").Answer} answer */
const told = (answer) => html`<li class="ws-row answered-row" key=${`answer ${answer.runId}`}><${Guarded} value=${answer}><${Answered} answer=${answer} /><//></li>`;

/** @param {import("./turns.js").FailedTurn} turn */
const Failed = ({ runId, status, error }) => html`<li class="ws-row failed-row" data-run=${runId}>
  <p class="ws-stopped">${t("This answer failed: {error}", { error: error || (status === "timeout" ? t("Timeout") : t("Error")) })}
    <a href=${`${page.console}/runs/${runId}`}>${t("Open run")}</a></p></li>`;

/** For what the calls of the last message wait, when questions are open. @param {import("./requests.js").Interrupt[]} interrupts */
function waitFor(interrupts) {
  if (!interrupts.length) return undefined;
  return interrupts.some(({ value }) => readRequest(value).form !== "open") ? "waiting" : "asking";
}

/**
 * Answers to questions by the row that they stand before: the first that came of them; null: after the last.
 * @param {import("./answered.js").Answer[]} answers
 * @param {import("./turns.js").Row[]} rows
 * @param {Map<string, import("./branches.js").Origin>} places
 */
function placed(answers, rows, places) {
  /** @type {Map<string | null, import("./answered.js").Answer[]>} */
  const found = new Map();
  for (const answer of answers) {
    const row = rows.find((each) => places.get(each.message.id)?.runId === answer.runId);
    found.set(row?.key ?? null, [...(found.get(row?.key ?? null) ?? []), answer]);
  }
  return found;
}

/** The first message of each answer by the row that ends it: there an answer can be had once more. @param {import("./turns.js").Row[]} rows */
function firstAnswers(rows) {
  const found = new Map();
  /** @type {import("./turns.js").Row | null} */
  let first = null;
  rows.forEach((row, place) => {
    if (row.unsaid || row.message.type === "human") {
      first = null;
      return;
    }
    first ??= row;
    const next = rows[place + 1];
    if (!next || next.message.type === "human") found.set(row.key, first.message.id);
  });
  return found;
}

/** The results of each message's calls; the same map as before while they are the same. @param {any[]} messages */
function useResults(messages) {
  const kept = useRef(new WeakMap());
  return useMemo(() => {
    const all = resultsOf(messages);
    return {
      of: (/** @type {any} */ message) => {
        const calls = message.tool_calls ?? [];
        if (!calls.length) return NONE;
        const found = calls.map((/** @type {any} */ call) => all.get(call.id));
        const before = kept.current.get(message);
        if (before?.found.every((/** @type {any} */ each, /** @type {number} */ place) => each === found[place])) return before.map;
        const pairs = calls.map((/** @type {any} */ call, /** @type {number} */ place) => [call.id, found[place]]);
        const map = new Map(pairs.filter((/** @type {any} */ [, each]) => each));
        kept.current.set(message, { found, map });
        return map;
      },
    };
  }, [messages]);
}

/** What rows can have done, as functions that stay the same. @param {import("./session.js").Session} session */
function useActs(session) {
  const latest = useRef(session);
  latest.current = session;
  return useMemo(
    () => ({
      edit: (/** @type {string} */ id, /** @type {any} */ content) => latest.current.edit(id, content),
      again: (/** @type {string} */ id) => latest.current.again(id),
      retry: (/** @type {string} */ id) => latest.current.retry(id),
      choose: (/** @type {string} */ leaf) => latest.current.choose(leaf),
    }),
    [],
  );
}

const Row = memo(function Row(/** @type {any} */ { message, unsaid, hasFailed, isLast, results, origin, again, acts, agent, times, rejected, waits, goesOn, isStreaming, isReadOnly }) {
  const [isEditing, setIsEditing] = useState(false);
  const isHuman = message.type === "human";
  const kind = isHuman ? "human" : message.type === "ai" ? "ai" : "other";
  if (isEditing) {
    const done = () => setIsEditing(false);
    return html`<li class="ws-row human" data-id=${message.id}>
      <${Edit} message=${message} onDone=${done} onSend=${(/** @type {any} */ content) => acts.edit(message.id, content)} />
    </li>`;
  }
  return html`
    <li class=${`ws-row ${kind}${goesOn ? " goes-on" : ""}`} data-type=${message.type} data-id=${message.id} data-unsaid=${unsaid ? unsaid.status : undefined}>
      <span class="ws-who">${whoOf(message, agent)}</span>
      <div class="ws-body"><${Message} message=${message} results=${results} isStreaming=${isStreaming} times=${times} rejected=${rejected} waits=${waits} /></div>
      ${unsaid && !hasFailed && html`<p class="ws-stopped">${stoppedWord(unsaid.status)}</p>`}
      ${!isStreaming &&
      html`<div class="ws-acts">
        ${origin?.choice && html`<${Choice} choice=${origin.choice} onChoose=${acts.choose} isReadOnly=${isReadOnly} />`}
        <${Copy} text=${plainText(message)} label=${t("Copy")} />
        ${isHuman && !isReadOnly && plainText(message).length <= MOST_EDITED && html`<button type="button" class="ws-act" onClick=${() => setIsEditing(true)}>${t("Edit")}</button>`}
        ${again && !isReadOnly && html`<button type="button" class="ws-act" onClick=${() => acts.again(again)}>${t("Run again")}</button>`}
        ${unsaid && isLast && !isReadOnly && html`<button type="button" class="ws-act" onClick=${() => acts.retry(unsaid.runId)}>${t("Run again")}</button>`}
        ${origin?.at && html`<time dateTime=${origin.at} title=${utc(origin.at)}>${clock(origin.at)}</time>`}
      </div>`}
    </li>
  `;
});

/** @param {string} iso */
const utc = (iso) => `${iso.slice(0, 19).replace("T", " ")} UTC`;

/** @param {any} message @param {string} agent */
function whoOf(message, agent) {
  if (message.type === "human") return t("You");
  if (message.type === "ai") return message.name || agent || t("Agent");
  return message.type === "system" ? t("System") : (message.name ?? message.type);
}

/** @param {string} status */
function stoppedWord(status) {
  if (status === "interrupted") return t("Stopped here");
  return status === "timeout" ? t("Ran out of time here") : t("Failed here");
}

/** @param {{choice: {leaves: string[], place: number}, onChoose: (leaf: string) => void, isReadOnly: boolean}} props */
function Choice({ choice, onChoose, isReadOnly }) {
  const { leaves, place } = choice;
  const told = t("Version {n} of {total}", { n: place + 1, total: leaves.length });
  return html`
    <span class="ws-choice" role="group" aria-label=${told}>
      <button type="button" disabled=${isReadOnly || place === 0} aria-label=${t("Earlier version")}
        onClick=${() => onChoose(leaves[place - 1])}>‹</button>
      <span>${place + 1}/${leaves.length}</span>
      <button type="button" disabled=${isReadOnly || place === leaves.length - 1} aria-label=${t("Later version")}
        onClick=${() => onChoose(leaves[place + 1])}>›</button>
    </span>
  `;
}

/** @param {{message: any, onDone: () => void, onSend: (content: any) => Promise<boolean>}} props */
function Edit({ message, onDone, onSend }) {
  const [text, setText] = useState(plainText(message));
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, []);
  const send = () => {
    if (!text.trim()) return;
    onDone();
    void onSend(replaced(message.content, text));
  };
  /** @param {any} event */
  const onKeyDown = (event) => {
    if (event.key === "Escape") onDone();
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    }
  };
  return html`
    <div class="ws-edit">
      <textarea ref=${field} aria-label=${t("Edit the question")} value=${text} rows=${Math.min(12, text.split("\n").length + 1)}
        onChange=${(/** @type {any} */ event) => setText(event.target.value)} onKeyDown=${onKeyDown}></textarea>
      <div class="ws-edit-acts">
        <span class="ws-hint">${t("The question as it was stays as another version.")}</span>
        <button type="button" class="quiet" onClick=${onDone}>${t("Cancel")}</button>
        <button type="button" disabled=${!text.trim()} onClick=${send}>${t("Send")}</button>
      </div>
    </div>
  `;
}

/** The content with another text; images and files stay. @param {any} content @param {string} text */
function replaced(content, text) {
  if (typeof content === "string" || !Array.isArray(content)) return text;
  return [{ type: "text", text }, ...content.filter((block) => typeof block !== "string" && block?.type !== "text")];
}
