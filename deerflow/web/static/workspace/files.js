// Files that a person attaches, as the content blocks that LangChain's messages take (langchain_core.messages.content).

import { html } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { readBlocks } from "./blocks.js";
import { iconOf, sized } from "./pieces.js";
import { t } from "./strings.js";

/**
 * @typedef {{ type: string, [name: string]: any }} Block
 * @typedef {{ name: string, reason: string }} Refused
 */

const MOST = 32 << 20; // bytes of a request's body, as the server has it unless it is told otherwise
const BESIDE = 256 << 10; // what else is in the request: text, config
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const TEXTS = /^text\/|^application\/(json|xml|yaml|toml|javascript|x-sh|x-yaml|x-ndjson|sql)$/;
const TEXT_NAMES = /\.(md|txt|csv|tsv|log|json|ya?ml|toml|ini|cfg|conf|py|js|ts|jsx|tsx|java|go|rs|c|h|cpp|cs|rb|php|sh|sql|html?|css|xml|tex|rst)$/i;

/**
 * Content blocks of the files that fit into one message, and why the others do not. Sizes are looked at first:
 * nothing is read, still less sent, that the server would not take.
 * @param {Iterable<File>} files
 * @param {{ limit?: number, held?: Block[] }} [room] limit: bytes of a request's body; held: what is attached already
 * @returns {Promise<{ blocks: Block[], refused: Refused[] }>}
 */
export async function readFiles(files, { limit = MOST, held = [] } = {}) {
  const most = Math.max(0, limit - BESIDE);
  let left = most - held.reduce((sum, block) => sum + lengthOf(block), 0);
  const [blocks, refused] = [/** @type {Block[]} */ ([]), /** @type {Refused[]} */ ([])];
  for (const file of files) {
    const reason = refusal(file, left, most);
    const block = reason ? null : await read(file);
    if (block && lengthOf(block) <= left) {
      blocks.push(block);
      left -= lengthOf(block);
    } else refused.push({ name: file.name, reason: reason || tooLarge(file.size, left, most) });
  }
  return { blocks, refused };
}

/**
 * Why a file cannot be sent; empty when it can.
 * @param {{ size: number }} file
 * @param {number} left
 * @param {number} most
 */
function refusal({ size }, left, most) {
  if (!size) return t("it is empty");
  return Math.ceil(size / 3) * 4 > left ? tooLarge(size, left, most) : "";
}

/**
 * @param {number} size
 * @param {number} left
 * @param {number} most
 */
function tooLarge(size, left, most) {
  const told = { size: sized(size), most: sized((most * 3) / 4), left: sized(Math.max(0, (left * 3) / 4)) };
  return left < most && size * 4 <= most * 3 ? t("it has {size}, and only {left} more fit into this message", told) : t("it has {size}; a message takes at most {most}", told);
}

/** @param {Block} block */
const lengthOf = (block) => JSON.stringify(block).length;

/**
 * @param {File} file
 * @returns {Promise<Block>}
 */
async function read(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const [type, extras] = [file.type.split(";")[0], { filename: file.name }];
  const text = TEXTS.test(type) || TEXT_NAMES.test(file.name) ? asText(bytes) : null;
  if (text !== null) return { type: "text-plain", mime_type: "text/plain", text, title: file.name };
  const kind = PICTURES.has(type) ? "image" : type.startsWith("audio/") ? "audio" : type.startsWith("video/") ? "video" : "file";
  return { type: kind, mime_type: type || "application/octet-stream", base64: base64(bytes), extras };
}

/** @param {Uint8Array} bytes */
function asText(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null; // its name says text, its bytes do not
  }
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 0x8000) parts.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  return btoa(parts.join(""));
}

/**
 * What is attached, each with a button that takes it away.
 * @param {{ blocks: Block[], onRemove?: (place: number) => void }} props
 */
export function Attachments({ blocks, onRemove }) {
  if (!blocks.length) return null;
  return html`<ul className="attached" aria-label=${t("Attached files")}>${blocks.map((block, place) => html`<li key=${place} className="chip">
    <${Attached} block=${block} />
    ${onRemove && html`<button type="button" className="tiny" title=${t("Take away")} aria-label=${t("Take {name} away", { name: named(block) })} onClick=${() => onRemove(place)}><${Icon} name="cross" /></button>`}
  </li>`)}</ul>`;
}

/** @param {Block} block */
const named = (block) => String(block.extras?.filename ?? block.title ?? block.type);

/** @param {{ block: Block }} props */
function Attached({ block }) {
  const [piece] = readBlocks({ type: "human", content: [block] });
  const isPicture = piece?.kind === "picture" && piece.data;
  const size = block.text?.length ?? Math.floor(((block.base64?.length ?? 0) * 3) / 4);
  return html`${isPicture ? html`<img className="thumb" alt="" src=${`data:${piece.mime};base64,${piece.data}`} />` : html`<${Icon} name=${iconOf(block.type)} />`}
    <span className="chip-name">${named(block)}</span><span className="faint">${sized(size)}</span>`;
}
