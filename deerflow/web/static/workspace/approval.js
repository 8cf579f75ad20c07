// Cards for what an agent waits for a person to decide or to say.

import { html, useEffect, useId, useMemo, useRef, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { Json } from "./json.js";
import { MOST_EDITED } from "./long.js";
import { answerOf, parsed, questionOf, readRequest, resumeOf } from "./requests.js";
import { t } from "./strings.js";
import { Text } from "./text.js";

/**
 * @typedef {import("./requests.js").Action} Action
 * @typedef {import("./requests.js").Decision} Decision
 * @typedef {import("./requests.js").Draft} Draft
 * @typedef {import("./requests.js").Interrupt} Interrupt
 * @typedef {import("./requests.js").Request} Request
 * @typedef {{ interrupts: Interrupt[], isBusy: boolean, onAnswer: (resume: unknown) => unknown }} ApprovalsProps
 */

const AT_ONCE = 100; // cards; questions that are not answered with them are asked again

/**
 * A card for each interrupt, sent together: a graph goes on when all of its questions are answered.
 * @param {ApprovalsProps} props
 */
export function Approvals({ interrupts, isBusy, onAnswer }) {
  if (!interrupts.length) return null;
  const first = interrupts.slice(0, AT_ONCE);
  const key = first.map(({ id }) => id).join();
  return html`<${Cards} key=${key} interrupts=${first} isBusy=${isBusy} onAnswer=${onAnswer} />
    ${first.length < interrupts.length && html`<p className="faint">${t("These are the first {n} of {total} questions. The others come when these are answered.", { n: first.length, total: interrupts.length })}</p>`}`;
}

/** @param {ApprovalsProps} props */
function Cards({ interrupts, isBusy, onAnswer }) {
  const requests = interrupts.map(({ value }) => readRequest(value));
  const [drafts, setDrafts] = useState(/** @type {Record<string, Draft>} */ ({}));
  const [wrong, setWrong] = useState(/** @type {Record<number, string>} */ ({}));
  const { isSent, isLocked, once } = useOnce(isBusy);
  const asked = requests.reduce((sum, request) => sum + questionsIn(request), 0);

  /** @param {Record<string, Draft>} all */
  const send = (all) => {
    const checked = requests.map((request, place) => answerOf(request, draftsOf(all, place, request)));
    setWrong(Object.fromEntries(checked.flatMap((each, place) => (each.wrong === undefined ? [] : [[place, each.wrong]]))));
    if (checked.every((each) => each.wrong === undefined)) {
      once(() => onAnswer(resumeOf(interrupts, checked.map((each) => /** @type {{ answer: unknown }} */ (each).answer))));
    }
  };
  /**
   * @param {string} name
   * @param {Draft} draft
   * @param {boolean} [isComplete] nothing is to be typed: when it is the only question, it is sent
   */
  const choose = (name, draft, isComplete = false) => {
    const all = { ...drafts, [name]: draft };
    setDrafts(all);
    setWrong({});
    if (isComplete && asked === 1) send(all);
  };
  const decidedSoFar = requests.flatMap((request, place) => draftsOf(drafts, place, request)).filter((draft) => draft && (draft.kind !== "text" || draft.text)).length;
  return html`<section className="asks" aria-label=${t("The agent waits for you")}>
    ${requests.map((request, place) => html`<${Card} key=${interrupts[place].id ?? place} request=${request} place=${place} drafts=${drafts} choose=${choose} wrong=${wrong[place]} isAlone=${asked === 1} isLocked=${isLocked} send=${() => send(drafts)} />`)}
    ${asked > 1 && html`<div className="asks-foot">
      <button type="button" className="button" disabled=${isLocked} onClick=${() => send(drafts)}>${t("Send all")}</button>
      <span className="faint">${t("{n} of {total} answered", { n: decidedSoFar, total: asked })}</span>
    </div>`}
    ${isSent && html`<p className="faint" role="status">${t("Sent. The agent goes on.")}</p>`}
  </section>`;
}

/**
 * Something that is done once, however often it is clicked; again only when it failed, or when its run has come and
 * gone and still the same is asked.
 * @param {boolean} isBusy
 */
function useOnce(isBusy) {
  const [isSent, setSent] = useState(false);
  const [sent, wasBusy] = [useRef(false), useRef(isBusy)];
  const reset = () => setSent((sent.current = false));
  useEffect(() => {
    if (wasBusy.current && !isBusy) reset();
    wasBusy.current = isBusy;
  }, [isBusy]);
  /** @param {() => unknown} act */
  const once = async (act) => {
    if (sent.current) return;
    setSent((sent.current = true));
    try {
      await act();
    } catch {
      reset(); // who calls has said why
    }
  };
  return { isSent, isLocked: isSent || isBusy, once };
}

/** @param {Request} request */
const questionsIn = (request) => (request.form === "open" ? 1 : request.actions.length);

/**
 * @param {Record<string, Draft>} drafts
 * @param {number} place
 * @param {Request} request
 */
const draftsOf = (drafts, place, request) => Array.from({ length: questionsIn(request) }, (_, each) => drafts[`${place}:${each}`]);

/**
 * @typedef {{ drafts: Record<string, Draft>, choose: (name: string, draft: Draft, isComplete?: boolean) => void, isAlone: boolean, isLocked: boolean, send: () => void, wrong?: string }} Choosing
 */

/** @param {Choosing & { request: Request, place: number }} props */
function Card({ request, place, ...choosing }) {
  const title = useId();
  const told = useId();
  const inside = request.form === "open"
    ? html`<${Question} value=${request.value} name=${`${place}:0`} ...${choosing} />`
    : request.actions.map((action, each) => html`<${ActionPart} key=${each} action=${action} form=${request.form} name=${`${place}:${each}`} ...${choosing} />`);
  return html`<article className="ask-card" aria-labelledby=${title} aria-describedby=${choosing.wrong ? told : undefined}>
    <h2 id=${title}><${Icon} name="question" />${request.form === "open" ? t("The agent asks") : t("The agent wants your approval")}</h2>
    ${inside}
    ${choosing.wrong && html`<p className="wrong" id=${told} role="alert">${choosing.wrong}</p>`}
  </article>`;
}

/** @param {Choosing & { value: unknown, name: string }} props */
function Question({ value, name, drafts, choose, isAlone, isLocked, send }) {
  const { question, rest } = questionOf(value);
  const draft = drafts[name] ?? { kind: "text", text: "" };
  const isJson = draft.kind === "json";
  const check = isJson && draft.text ? parsed(draft.text) : null;
  /** @param {Draft["kind"]} kind */
  const pick = (kind) => choose(name, { kind, text: draft.text }, true);
  return html`
    ${question && html`<${Text} text=${question} />`}
    ${rest !== undefined && html`<${Json} value=${rest} label=${question ? t("With it") : t("Question")} opened=${3} />`}
    <div className="picks" role="group" aria-label=${t("Answer")}>
      <${Choice} kind="yes" chosen=${draft.kind} onPick=${pick} disabled=${isLocked} label=${t("Yes")} />
      <${Choice} kind="no" chosen=${draft.kind} onPick=${pick} disabled=${isLocked} label=${t("No")} />
      <span className="picks-or">${t("or answer with")}</span>
      <${Choice} kind="text" chosen=${draft.kind} onPick=${() => choose(name, { ...draft, kind: "text" })} disabled=${isLocked} label=${t("Text")} />
      <${Choice} kind="json" chosen=${draft.kind} onPick=${() => choose(name, { ...draft, kind: "json" })} disabled=${isLocked} label="JSON" />
    </div>
    ${(draft.kind === "text" || isJson) && html`<${Field} label=${isJson ? t("Answer as JSON") : t("Your answer")} text=${draft.text} isCode=${isJson} disabled=${isLocked}
      wrong=${check?.wrong} onText=${(/** @type {string} */ text) => choose(name, { kind: draft.kind, text })} onSend=${send} />`}
    ${isAlone && (draft.kind === "text" || isJson) && html`<div><button type="button" className="button" disabled=${isLocked} onClick=${send}>${t("Send answer")}</button></div>`}`;
}

/** @type {() => Record<Decision, { label: string, icon: string, send: string }>} */
const WORDS = () => ({
  approve: { label: t("Approve"), icon: "check", send: t("Approve") },
  edit: { label: t("Edit"), icon: "edit", send: t("Approve with these changes") },
  reject: { label: t("Reject"), icon: "cross", send: t("Send rejection") },
  respond: { label: t("Answer"), icon: "question", send: t("Send answer") },
});

/** @param {Choosing & { action: Action, form: string, name: string }} props */
function ActionPart({ action, form, name, drafts, choose, isAlone, isLocked, send }) {
  const draft = drafts[name];
  const kind = /** @type {Decision | undefined} */ (draft?.kind);
  const takesReason = form === "current";
  const args = useMemo(() => JSON.stringify(action.args, null, 2), [action.args]);
  const isTooLong = args.length > MOST_EDITED;
  /** @param {Decision} picked */
  const pick = (picked) =>
    choose(name, { kind: picked, text: picked === "edit" && !isTooLong ? args : "" }, picked === "approve" || (picked === "reject" && !takesReason));
  return html`<div className="ask-action">
    <p className="ask-name"><${Icon} name="tool" /><code>${action.name}</code></p>
    ${action.description && html`<${Text} text=${action.description} />`}
    <${Json} value=${action.args} label=${t("Arguments")} opened=${3} />
    <div className="picks" role="group" aria-label=${t("Your decision on {name}", { name: action.name })}>
      ${action.allowed.map((each) => html`<${Choice} key=${each} kind=${each} chosen=${kind} onPick=${pick} disabled=${isLocked} icon=${WORDS()[each].icon} label=${WORDS()[each].label}
        isMain=${isAlone && !kind && each === "approve"} />`)}
    </div>
    ${kind === "edit" && isTooLong && html`<p className="faint">${t("The arguments are too long to be edited here. What you write takes their place.")}</p>`}
    ${kind && needsField(kind, takesReason) && html`<${DecisionField} kind=${kind} draft=${draft} disabled=${isLocked} onText=${(/** @type {string} */ text) => choose(name, { kind, text })} onSend=${send} />`}
    ${isAlone && kind && needsField(kind, takesReason) && html`<div><button type="button" className="button" disabled=${isLocked} onClick=${send}>${WORDS()[kind].send}</button></div>`}
  </div>`;
}

/**
 * @param {Decision} kind
 * @param {boolean} takesReason
 */
const needsField = (kind, takesReason) => kind === "edit" || kind === "respond" || (kind === "reject" && takesReason);

/** @param {{ kind: Decision, draft: Draft, disabled: boolean, onText: (text: string) => void, onSend: () => void }} props */
function DecisionField({ kind, draft, ...rest }) {
  const label = { approve: "", edit: t("Arguments as JSON"), reject: t("Reason, if you like: the agent reads it"), respond: t("Your answer, in place of the tool's") }[kind];
  const check = kind === "edit" ? parsed(draft.text) : null;
  return html`<${Field} label=${label} text=${draft.text} isCode=${kind === "edit"} wrong=${check?.wrong} ...${rest} />`;
}

/** @param {{ kind: string, chosen?: string, label: string, icon?: string, isMain?: boolean, disabled: boolean, onPick: (kind: any) => void }} props isMain: what is done with one click */
function Choice({ kind, chosen, label, icon, isMain = false, disabled, onPick }) {
  return html`<button type="button" className=${`pick pick-${kind}${isMain ? " main" : ""}`} aria-pressed=${kind === chosen} disabled=${disabled} onClick=${() => onPick(kind)}>
    ${icon && html`<${Icon} name=${icon} />`}${label}
  </button>`;
}

/** @param {{ label: string, text: string, isCode?: boolean, disabled?: boolean, wrong?: string, onText: (text: string) => void, onSend?: () => void, rows?: number }} props */
export function Field({ label, text, isCode = false, disabled = false, wrong, onText, onSend, rows }) {
  const [field, told] = [useId(), useId()];
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSend?.();
  };
  return html`<div className="ask-field">
    <label htmlFor=${field}>${label}</label>
    <textarea id=${field} className=${isCode ? "data" : undefined} value=${text} disabled=${disabled} spellCheck=${!isCode} onKeyDown=${press}
      rows=${rows ?? Math.min(12, Math.max(2, text.split("\n").length))} aria-invalid=${wrong ? "true" : undefined} aria-describedby=${wrong ? told : undefined}
      onInput=${(/** @type {InputEvent} */ event) => onText(/** @type {HTMLTextAreaElement} */ (event.target).value)} />
    ${wrong && html`<p className="wrong" id=${told}>${wrong}</p>`}
  </div>`;
}
