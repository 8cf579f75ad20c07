// The body of one message: its text, what is attached, what it thought, and its tool calls.

import { html, memo } from "../vendor/workspace-vendor.js";
import { Guarded } from "./guarded.js";
import { Icon } from "./icon.js";
import { Json } from "./json.js";
import { FileChip, Picture } from "./pieces.js";
import { readBlocks } from "./blocks.js";
import { t } from "./strings.js";
import { AsTyped, Text } from "./text.js";
import { ToolCall, ToolResult } from "./tools.js";

export { messageText } from "./blocks.js";

/**
 * @typedef {import("./blocks.js").Piece} Piece
 * @typedef {import("./blocks.js").Said} Said
 * @typedef {{ message: Said, results?: Map<string, any>, isStreaming?: boolean, times?: Map<string, number>,
 *   rejected?: Set<string>, waits?: "waiting" | "asking" }} MessageProps rejected: ids of calls; waits: for what its open calls wait
 */

/**
 * A person's words stand as they were typed, an agent's are read as markdown. Nothing is left out: what is not known
 * is shown as JSON.
 */
export const Message = memo(function Message(/** @type {MessageProps} */ { message, results = new Map(), isStreaming = false, times, rejected, waits }) {
  if (message.type === "tool") return html`<div className="body"><${ToolResult} result=${message} /></div>`;
  const pieces = readBlocks(message);
  const calls = [...(message.tool_calls ?? []), ...(message.invalid_tool_calls ?? []).map((call) => ({ ...call, error: call.error ?? "" }))];
  const isEmpty = !pieces.length && !calls.length && !isStreaming;
  return html`<div className="body">
    ${pieces.map((piece, place) => html`<${Guarded} key=${place} value=${piece.kind === "json" ? piece.value : piece}>
      <${Shown} piece=${piece} isPlain=${message.type !== "ai"} isStreaming=${isStreaming && place === pieces.length - 1} /><//>`)}
    ${calls.map((call, place) => html`<${Guarded} key=${call.id ?? place} value=${call}>
      <${ToolCall} call=${call} result=${results.get(call.id ?? "")} isLive=${isStreaming} fate=${rejected?.has(call.id ?? "") ? "rejected" : waits} took=${times?.get(call.id ?? "")} /><//>`)}
    ${isEmpty && html`<p className="faint">${t("(no text)")}</p>`}
  </div>`;
});

/** @param {{ piece: Piece, isPlain: boolean, isStreaming: boolean }} props */
function Shown({ piece, isPlain, isStreaming }) {
  switch (piece.kind) {
    case "text":
      return isPlain ? html`<${AsTyped} text=${piece.text} />` : html`<${Text} text=${piece.text} isStreaming=${isStreaming} />`;
    case "thought":
      return html`<${Thought} text=${piece.text} isStreaming=${isStreaming} />`;
    case "picture":
      return html`<${Picture} piece=${piece} />`;
    case "file":
      return html`<${FileChip} piece=${piece} />`;
    default:
      return html`<${Json} value=${piece.value} label=${piece.label} opened=${1} />`;
  }
}

/** @param {{ text: string, isStreaming: boolean }} props */
function Thought({ text, isStreaming }) {
  return html`<details className="thought">
    <summary><${Icon} name="right" /><${Icon} name="thought" />${isStreaming ? t("Thinking…") : t("Thoughts")}</summary>
    <${Text} text=${text} isStreaming=${isStreaming} />
  </details>`;
}
