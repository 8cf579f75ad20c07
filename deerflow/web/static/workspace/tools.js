// Tool calls, folded: name, state and time; open: what went in and what came out.

import { html, memo, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { Json, preview } from "./json.js";
import { useBeginning } from "./long.js";
import { t } from "./strings.js";

/**
 * @typedef {{ id?: string, name?: string, args?: any, error?: string | null }} Call
 * @typedef {{ content: any, status?: string, artifact?: any, tool_call_id?: string }} Result
 * @typedef {"running" | "done" | "failed" | "rejected" | "waiting" | "asking" | "not run"} CallState
 * @typedef {"rejected" | "waiting" | "asking"} Fate what people have to do with it: they have rejected it, or have yet to
 *   approve it, or it asks them something
 */

const LONG_RESULT = 4000; // characters before "show all"

/**
 * @param {Call} call
 * @param {Result | undefined} result
 * @param {boolean} isLive whether the run that made the call still runs
 * @param {Fate} [fate]
 * @returns {CallState}
 */
export function stateOf(call, result, isLive, fate) {
  if (call.error !== undefined) return "failed"; // of invalid_tool_calls: nobody could read its arguments
  if (result && result.status !== "error") return "done";
  if (fate === "rejected") return fate; // agents are told so as an error
  if (result) return "failed";
  return isLive ? "running" : (fate ?? "not run");
}

/** @param {CallState} state */
const worded = (state) =>
  ({
    running: t("Running"), done: t("Done"), failed: t("Failed"), rejected: t("Rejected"),
    waiting: t("Waits for approval"), asking: t("Waits for an answer"), "not run": t("Not run"),
  })[state];

/** @typedef {{ call: Call, result?: Result, isLive: boolean, fate?: Fate, took?: number }} ToolCallProps took: milliseconds */

export const ToolCall = memo(function ToolCall(/** @type {ToolCallProps} */ { call, result, isLive, fate, took }) {
  const [isOpen, open] = useState(false);
  const state = stateOf(call, result, isLive, fate);
  return html`<details className="tool" data-state=${state} onToggle=${(/** @type {ToggleEvent} */ event) => open(event.newState === "open" || /** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
    <summary>
      <${Icon} name="right" /><${Icon} name="tool" /><code className="tool-name">${call.name || t("Unnamed tool")}</code>
      <span className="tool-brief">${brief(call.args)}</span>
      ${took !== undefined && state !== "rejected" && html`<span className="tool-time">${inSeconds(took)}</span>`}
      <span className="tool-state">${worded(state)}</span>
    </summary>
    ${isOpen && html`<div className="tool-inside">
      <${Json} value=${call.args ?? {}} label=${t("Arguments")} opened=${2} />
      ${call.error !== undefined && html`<p className="wrong">${call.error || t("The arguments of this call could not be read.")}</p>`}
      ${result && html`<${ToolResult} result=${result} isRejected=${state === "rejected"} />`}
    </div>`}
  </details>`;
});

/** @param {{ result: Result, isRejected?: boolean }} props */
export function ToolResult({ result, isRejected = false }) {
  const value = readResult(result.content);
  const label = result.status === "error" && !isRejected ? t("Error") : t("Result");
  return html`
    ${typeof value === "string" ? html`<${ResultText} label=${label} text=${value} />` : html`<${Json} value=${value} label=${label} opened=${2} />`}
    ${result.artifact != null && html`<${Json} value=${result.artifact} label=${t("Artifact: the model does not see it")} opened=${0} />`}`;
}

/** @param {{ label: string, text: string }} props */
function ResultText({ label, text }) {
  const [shown, more] = useBeginning(text, LONG_RESULT);
  return html`<div>
    <span className="json-label">${label}</span>
    <pre className="tool-text" tabIndex=${0}>${shown || t("(empty)")}</pre>
    ${more}
  </div>`;
}

/**
 * What a tool has said: JSON when its text is an object or a list, the text of a single text block, else as it is.
 * @param {any} content
 * @returns {unknown}
 */
export function readResult(content) {
  const text = Array.isArray(content) && content.length === 1 && content[0]?.type === "text" ? content[0].text : content;
  if (typeof text !== "string" || !/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {unknown} args */
const brief = (args) => (typeof args === "object" && args !== null ? preview(args) : String(args ?? ""));

/** @param {number} milliseconds */
export function inSeconds(milliseconds) {
  if (milliseconds < 995) return t("{n} ms", { n: Math.round(milliseconds) });
  const seconds = milliseconds / 1000;
  if (seconds < 99.5) return t("{n} s", { n: seconds < 10 ? seconds.toFixed(1) : Math.round(seconds) });
  return t("{n} min", { n: Math.round(seconds / 60) });
}

/**
 * How long each call took, as far as checkpoints tell: from the one that has the call to the one that has its result.
 * @param {{ created_at?: string | null, values?: any }[]} history newest first
 * @returns {Map<string, number>}
 */
export function toolTimes(history) {
  /** @type {Map<string, number>} */
  const asked = new Map();
  /** @type {Map<string, number>} */
  const took = new Map();
  for (const { created_at, values } of [...history].reverse()) {
    const at = Date.parse(created_at ?? "");
    for (const message of Array.isArray(values?.messages) ? values.messages : []) {
      for (const { id } of message?.tool_calls ?? []) if (id && !asked.has(id)) asked.set(id, at);
      const from = asked.get(message?.tool_call_id);
      if (from !== undefined && !took.has(message.tool_call_id) && at >= from) took.set(message.tool_call_id, at - from);
    }
  }
  return took;
}
