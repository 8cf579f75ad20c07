// The thread's checkpoints as a tree, what each holds, and going on from one of them.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/workspace-vendor.js";
import { Field } from "./approval.js";
import { diff } from "./diff.js";
import { changedIn, writeState, wrongWith } from "./edit.js";
import { Guarded } from "./guarded.js";
import { Icon } from "./icon.js";
import { Copy } from "./copy.js";
import { Json } from "./json.js";
import { MOST_EDITED } from "./long.js";
import { parsed } from "./requests.js";
import { saidOf } from "./told.js";
import { t } from "./strings.js";
import { idOf, joined, lay, parentOf, placeOf, stepOf } from "./tree.js";
import { When } from "./when.js";

/**
 * @typedef {import("./tree.js").State} State
 * @typedef {import("./tree.js").Row} Row
 * @typedef {{ step: number, total: number, at: string | null, values: any }} Look
 * @typedef {{
 *   client: any, threadId: string | null, lookingAt: string | null, isBusy: boolean, version: number, atOnce: number,
 *   onLook: (checkpointId: string | null, look?: Look) => void,
 *   onRun?: (from: { checkpoint: any }) => unknown,
 * }} PanelProps atOnce: how many steps are read at once; onRun: not given to who may not run
 */

const PAGE = 25;
const MOST = 500; // as far as is looked for a checkpoint of the address
const WIDEST = 6; // columns that are drawn; what branches more often shares the last

/** @param {PanelProps} props */
export function StatePanel(props) {
  const { lookingAt, onLook } = props;
  const { states, isMore, isLoading, wrong, loadMore } = useHistory(props);
  const head = states[0];
  const isHead = !lookingAt || (head && idOf(head) === lookingAt);
  const shown = isHead ? head : states.find((state) => idOf(state) === lookingAt);
  useSearchOf(lookingAt, shown, { isMore, isLoading, count: states.length, loadMore });
  const place = useMemo(() => (shown ? placeOf(states, idOf(shown)) : null), [states, shown]);
  useEffect(() => {
    if (lookingAt && isHead && head) onLook(null);
    else if (lookingAt && shown && place) onLook(lookingAt, { step: place.step, total: place.total, at: shown.created_at, values: shown.values });
  }, [lookingAt, shown && idOf(shown), place?.total]);
  if (wrong) return html`<${Panel}><p className="wrong" role="alert">${t("The state could not be read: {why}", { why: wrong })}</p><//>`;
  if (!states.length) return html`<${Panel}><p className="faint">${isLoading ? t("Reading the state…") : t("Nothing here yet. Each step of the agent will be kept here.")}</p><//>`;
  return html`<${Panel}>
    <${Guarded} value=${states}><${History} states=${states} shown=${shown} onLook=${onLook} isMore=${isMore} isLoading=${isLoading} loadMore=${loadMore} /><//>
    ${shown && place ? html`<${Guarded} value=${shown}><${Detail} key=${idOf(shown)} ...${props} state=${shown} before=${states.find((state) => idOf(state) === parentOf(shown))} place=${place} /><//>`
      : html`<p className="faint">${isLoading || isMore ? t("Looking for this step…") : t("There is no such step in this thread.")}</p>`}
  <//>`;
}

/** @param {{ children?: any }} props */
function Panel({ children }) {
  return html`<section className="state-panel" aria-label=${t("State")}>${children}</section>`;
}

/**
 * The checkpoints that have been read, read again when the thread has changed.
 * @param {PanelProps} props
 */
function useHistory({ client, threadId, version, atOnce }) {
  const size = Math.min(PAGE, atOnce);
  const [states, setStates] = useState(/** @type {State[]} */ ([]));
  const [isMore, setMore] = useState(false);
  const [isLoading, setLoading] = useState(Boolean(threadId));
  const [wrong, setWrong] = useState("");
  const asked = useRef(0);
  const wanted = useRef(size); // how many are shown: a reading of all of them that overtakes one of more has these too
  /**
   * @param {number} limit
   * @param {State} [last]
   */
  const load = async (limit, last) => {
    const mine = ++asked.current;
    setLoading(true);
    try {
      const before = last && { configurable: { checkpoint_id: idOf(last) } };
      const page = /** @type {State[]} */ (await client.threads.getHistory(threadId, { limit, before }));
      if (mine !== asked.current) return; // asked again meanwhile: this is of before
      setStates((known) => (last ? joined(known, page) : page));
      setMore(page.length === limit);
      setWrong("");
    } catch (error) {
      if (mine === asked.current && /** @type {any} */ (error)?.status !== 404) setWrong(saidOf(error) ?? "");
    }
    if (mine === asked.current) setLoading(false);
  };
  const loadMore = () => {
    wanted.current = states.length + size;
    load(size, states.at(-1));
  };
  useEffect(() => {
    if (threadId) load(wanted.current);
    else setStates([]);
  }, [threadId, version]);
  return { states, isMore, isLoading, wrong, loadMore };
}

/**
 * Read on until the checkpoint of the address is found.
 * @param {string | null} lookingAt
 * @param {State | undefined} shown
 * @param {{ isMore: boolean, isLoading: boolean, count: number, loadMore: () => void }} history
 */
function useSearchOf(lookingAt, shown, { isMore, isLoading, count, loadMore }) {
  useEffect(() => {
    if (lookingAt && !shown && isMore && !isLoading && count < MOST) loadMore();
  }, [lookingAt, shown, isMore, isLoading, count]);
}

/** @param {{ states: State[], shown?: State, onLook: PanelProps["onLook"], isMore: boolean, isLoading: boolean, loadMore: () => void }} props */
function History({ states, shown, onLook, isMore, isLoading, loadMore }) {
  const rows = useMemo(() => lay(states), [states]);
  const byId = useMemo(() => new Map(states.map((state) => [idOf(state), state])), [states]);
  const columns = Math.min(WIDEST, Math.max(1, ...rows.map(({ column, passing }) => Math.max(column, ...passing) + 1)));
  return html`<div className="steps">
    <h2>${t("Steps")}</h2>
    <ol className="step-list" aria-label=${t("Steps, newest first")}>
      ${rows.map((row, index) => html`<${Step} key=${row.id} row=${row} columns=${columns} parent=${byId.get(parentOf(row.state) ?? "")} isHead=${index === 0} isShown=${row.state === shown} onLook=${onLook} />`)}
      ${isMore && html`<li><button type="button" className="button quiet small" disabled=${isLoading} onClick=${loadMore}>${isLoading ? t("Reading…") : t("Show older steps")}</button></li>`}
    </ol>
  </div>`;
}

/** @param {{ row: Row, columns: number, parent?: State, isHead: boolean, isShown: boolean, onLook: PanelProps["onLook"] }} props */
function Step({ row, columns, parent, isHead, isShown, onLook }) {
  const { state, id } = row;
  return html`<li>
    <button type="button" className="step" title=${sourceOf(state)} aria-current=${isShown ? "step" : undefined} onClick=${() => onLook(isHead ? null : id)}>
      <${Lines} row=${row} columns=${columns} />
      <span className="step-words">
        <span className="step-title">${titleOf(state, parent)}${" "}${isHead && html`<span className="badge good">${t("now")}</span>`}${row.isTip && !isHead && html`<span className="badge">${t("branch")}</span>`}</span>
        <span className="step-faint">${t("Step {n}", { n: stepOf(state) })} · ${nextOf(state)}</span>
      </span>
      <span className="step-side">
        ${state.created_at && html`<${When} at=${state.created_at} />`}
        ${state.metadata?.run_id && html`<code title=${t("Run {id}", { id: state.metadata.run_id })}>${state.metadata.run_id.slice(-6)}</code>`}
      </span>
    </button>
  </li>`;
}

/** @param {{ row: Row, columns: number }} props */
function Lines({ row, columns }) {
  const x = (/** @type {number} */ column) => Math.min(column, WIDEST - 1) * 14 + 9;
  const at = x(row.column);
  const [top, middle, bottom] = [0, 26, 52];
  return html`<svg className="step-lines" width=${columns * 14 + 6} height=${bottom} viewBox=${`0 0 ${columns * 14 + 6} ${bottom}`} aria-hidden="true" focusable="false">
    ${row.passing.map((column) => html`<path key=${`p${column}`} d=${`M${x(column)} ${top}V${bottom}`} />`)}
    ${row.joining.map((column) => html`<path key=${`j${column}`} d=${`M${x(column)} ${top}C${x(column)} ${middle} ${at} ${top + 10} ${at} ${middle}`} />`)}
    ${!row.isTip && html`<path d=${`M${at} ${top}V${middle}`} />`}
    ${row.goesOn && html`<path d=${`M${at} ${middle}V${bottom}`} />`}
    <circle cx=${at} cy=${middle} r="4.5" />
  </svg>`;
}

/**
 * What has happened at a step: the nodes that its parent had next have run.
 * @param {State} state
 * @param {State | undefined} parent
 */
function titleOf({ metadata }, parent) {
  if (metadata?.source === "input") return t("Input");
  if (metadata?.source === "update") return t("State edited");
  if (metadata?.source === "fork") return t("Branch begun");
  const ran = parent?.next?.filter((name) => name !== "__start__") ?? [];
  return ran.length ? ran.join(", ") : t("Start");
}

/** @param {State} state */
function sourceOf({ metadata }) {
  /** @type {Record<string, string>} */
  const words = { input: t("What a run was given"), loop: t("A step of the graph"), update: t("An edit of the state"), fork: t("A copy from which a branch begins") };
  return words[metadata?.source] ?? String(metadata?.source ?? "");
}

/** @param {State} state */
function nextOf({ next, tasks }) {
  const names = (next ?? []).map((name) => (name === "__start__" ? t("start") : name)).join(", ");
  if (tasks?.some(({ error }) => error)) return t("failed in {names}", { names });
  if (tasks?.some(({ interrupts }) => interrupts?.length)) return t("waits in {names}", { names });
  return names ? t("next: {names}", { names }) : t("ended");
}

/** @param {PanelProps & { state: State, before?: State, place: { step: number, total: number, isHead: boolean } }} props */
function Detail({ state, before, place, ...props }) {
  const [tab, show] = useState("values");
  const tabs = { values: t("Values"), changes: t("Changes"), next: t("Next"), tasks: t("Tasks"), metadata: t("Metadata") };
  return html`<div className="step-detail">
    <h2>${t("Step {step} of {total}", { step: place.step, total: place.total })}${place.isHead && html`<span className="badge good">${t("now")}</span>`}</h2>
    <p className="step-id"><code>${idOf(state)}</code><${Copy} text=${idOf(state)} label=${t("Copy the checkpoint's id")} /></p>
    ${props.onRun && html`<${Actions} state=${state} ...${props} />`}
    <div className="segments" role="group" aria-label=${t("What of this step")}>
      ${Object.entries(tabs).map(([name, label]) => html`<button key=${name} type="button" aria-pressed=${tab === name} onClick=${() => show(name)}>${label}</button>`)}
    </div>
    <${Part} tab=${tab} state=${state} before=${before} />
  </div>`;
}

/** @param {{ tab: string, state: State, before?: State }} props */
function Part({ tab, state, before }) {
  switch (tab) {
    case "changes":
      return html`<${Changes} state=${state} before=${before} />`;
    case "next":
      return html`<p>${runsNext(state)}</p><${Json} value=${state.next} label=${t("Next")} opened=${1} />`;
    case "tasks":
      return html`<${Json} value=${state.tasks} label=${t("Tasks")} opened=${2} searches />`;
    case "metadata":
      return html`<${Json} value=${state.metadata} label=${t("Metadata")} opened=${1} searches />`;
    default:
      return html`<${Json} value=${state.values} label=${t("Values")} opened=${1} searches />`;
  }
}

/** @param {{ state: State, before?: State }} props */
function Changes({ state, before }) {
  const isFirst = parentOf(state) === null;
  const changes = useMemo(() => diff(before?.values ?? {}, state.values ?? {}), [state, before]);
  if (!before && !isFirst) return html`<p className="faint">${t("The step before is not read yet: show older steps first.")}</p>`;
  if (!changes.length) return html`<p className="faint">${isFirst ? t("This is the first step, and it holds nothing yet.") : t("The values are the same as at the step before.")}</p>`;
  const words = { added: t("new"), removed: t("gone"), changed: t("changed") };
  return html`<ul className="changes">${changes.map((change) => html`<li key=${change.path} className=${`is-${change.kind}`}>
    <p><code>${change.path || t("everything")}</code><span className="badge">${words[change.kind]}</span></p>
    ${change.kind !== "added" && html`<div className="was"><${Json} value=${change.before} label=${t("Before")} opened=${1} /></div>`}
    ${change.kind !== "removed" && html`<div className="is"><${Json} value=${change.after} label=${t("After")} opened=${1} /></div>`}
  </li>`)}</ul>`;
}

/**
 * In words, what a run from here does first.
 * @param {State} state
 */
export function runsNext({ next, tasks }) {
  if (!next?.length) return t("The graph has ended here: nothing is left to run.");
  const names = next.filter((name) => name !== "__start__").join(", ");
  if (!names) return t("The graph starts from its input.");
  if (tasks?.some(({ interrupts }) => interrupts?.length)) return t("{names} runs again from its beginning, and will ask again.", { names });
  return next.length > 1 ? t("{names} run next, side by side.", { names }) : t("{names} runs next.", { names });
}

/** @param {Omit<PanelProps, "onRun"> & { state: State, onRun?: PanelProps["onRun"] }} props */
function Actions({ state, client, threadId, isBusy, onRun }) {
  const [chosen, choose] = useState("");
  if (!state.next?.length) return html`<p className="faint">${t("The graph has ended here. To run it again, choose an earlier step.")}</p>`;
  const close = () => choose("");
  return html`<div className="step-actions">
    <div className="picks">
      <button type="button" className="pick" aria-expanded=${chosen === "run"} onClick=${() => choose(chosen === "run" ? "" : "run")}><${Icon} name="play" />${t("Run from here")}</button>
      <button type="button" className="pick" aria-expanded=${chosen === "edit"} onClick=${() => choose(chosen === "edit" ? "" : "edit")}><${Icon} name="edit" />${t("Edit state, then run")}</button>
    </div>
    ${chosen === "run" && html`<${Sure} state=${state} isBusy=${isBusy} label=${t("Run from here")} onClose=${close} act=${() => onRun?.({ checkpoint: state.checkpoint })} />`}
    ${chosen === "edit" && html`<${Edit} state=${state} isBusy=${isBusy} client=${client} threadId=${threadId} onRun=${onRun} onClose=${close} />`}
  </div>`;
}

/** @param {{ state: State, isBusy: boolean, label: string, act: () => unknown, onClose: () => void, cannot?: string, children?: any }} props */
function Sure({ state, isBusy, label, act, onClose, cannot = "", children }) {
  const [wrong, setWrong] = useState("");
  const [isAsked, setAsked] = useState(false);
  const run = async () => {
    setAsked(true);
    try {
      await act();
      onClose();
    } catch (error) {
      setWrong(saidOf(error) ?? "");
      setAsked(false);
    }
  };
  return html`<div className="sure">
    ${children}
    <p>${runsNext(state)} ${t("It makes a branch; the steps that came after stay where they are.")}</p>
    ${isBusy && html`<p className="faint">${t("A run is under way: stop it or wait for its end.")}</p>`}
    ${wrong && html`<p className="wrong" role="alert">${wrong}</p>`}
    <div className="picks">
      <button type="button" className="button small" disabled=${isBusy || isAsked || Boolean(cannot)} onClick=${run}>${label}</button>
      <button type="button" className="button quiet small" onClick=${onClose}>${t("Cancel")}</button>
    </div>
  </div>`;
}

/** @param {{ state: State, isBusy: boolean, client: any, threadId: string | null, onRun: PanelProps["onRun"], onClose: () => void }} props */
function Edit({ state, ...props }) {
  const written = useMemo(() => JSON.stringify(state.values ?? {}, null, 2), [state]);
  if (written.length > MOST_EDITED) return html`<p className="faint">${t("These values are too long to be edited here: {n} characters. The API can write them.", { n: written.length })}</p>`;
  return html`<${EditOf} state=${state} written=${written} ...${props} />`;
}

/** @param {{ state: State, written: string, isBusy: boolean, client: any, threadId: string | null, onRun: PanelProps["onRun"], onClose: () => void }} props */
function EditOf({ state, written, isBusy, client, threadId, onRun, onClose }) {
  const before = useMemo(() => state.values ?? {}, [state]);
  const [text, type] = useState(written);
  const read = parsed(text);
  const wrong = read.wrong ?? wrongWith(before, /** @type {any} */ (read).answer);
  const after = read.wrong === undefined ? /** @type {any} */ (read.answer) : null;
  const write = async () => {
    const { checkpoint, other } = await writeState(client, threadId ?? "", state.checkpoint ?? {}, before, after);
    if (other.length) throw new Error(t("Saved as a step of its own, but not run: the graph has made something else of {names}.", { names: other.join(", ") }));
    await onRun?.({ checkpoint });
  };
  return html`<${Sure} state=${state} isBusy=${isBusy} label=${t("Save and run")} act=${write} onClose=${onClose} cannot=${wrong}>
    <${Field} label=${t("Values at this step")} text=${text} isCode wrong=${text === written ? "" : wrong} rows=${Math.min(18, text.split("\n").length)} onText=${type} />
    ${!wrong && html`<p>${t("You change: {names}.", { names: changedIn(before, after).join(", ") })}</p>`}
  <//>`;
}
