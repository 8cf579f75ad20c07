// A model's text as elements. Never as HTML: tags stay text, an image becomes a link, and what is odd stays as written.

import { html, lexer, memo, useRef } from "../vendor/workspace-vendor.js";
import { Copy } from "./copy.js";
import { useBeginning } from "./long.js";
import { t } from "./strings.js";
import { withoutLooseEnds } from "./unfinished.js";

/** @typedef {{ type: string, raw: string, [name: string]: any }} Token one of marked's */
/** @typedef {any} ReactNode */

const LONG = 100_000; // characters before "show all"
const DEEPEST = 40; // levels of quotes and lists: what lies deeper is shown as it was written
const LONGEST = 400_000; // characters; more is shown as it was written, without a wait
const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const SLOW = 8000; // characters of a word with an @: marked looks for mail addresses in quadratic time
const ENTITIES = new Map(
  Object.entries({
    amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…",
    mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»", bull: "•",
    middot: "·", times: "×", divide: "÷", deg: "°", plusmn: "±", micro: "µ", para: "¶", sect: "§", euro: "€",
    pound: "£", yen: "¥", cent: "¢", larr: "←", rarr: "→", uarr: "↑", darr: "↓", le: "≤", ge: "≥", ne: "≠",
    infin: "∞", check: "✓",
  }),
);

/** @typedef {{ text: string, isStreaming?: boolean }} TextProps */

/** Markdown, block by block: of a text that grows only the last blocks are read and drawn again. */
export const Text = memo(function Text(/** @type {TextProps} */ { text, isStreaming = false }) {
  const read = useRef(/** @type {Reading | undefined} */ (undefined));
  const [shown, more] = useBeginning(text, LONG);
  read.current = readOn(read.current, shown, isStreaming);
  const { tokens, links } = read.current;
  return html`<div className="text">${tokens.map((token, place) => html`<${Block} key=${place} token=${token} links=${links} />`)}${more}</div>`;
});

/** Text as somebody has typed it. @param {{ text: string }} props */
export function AsTyped({ text }) {
  const [shown, more] = useBeginning(text, LONG);
  return html`<p className="as-typed">${shown}</p>${more}`;
}

const Block = memo(
  /** @param {{ token: Token, links: string }} props */
  ({ token }) => html`${block(token, 0, 0)}`,
  (before, after) => before.token.raw === after.token.raw && before.links === after.links && before.token.type === after.token.type,
);

/**
 * @typedef {{ text: string, tokens: Token[], links: string, isOpen: boolean }} Reading
 *   links: the reference links that it defines, as one text; isOpen: more will come, so its loose ends are tied up
 */

/**
 * The tokens of *text*. Those of *before* are kept as far as it begins alike, but for the last two, which may go on.
 * @param {Reading | undefined} before
 * @param {string} text
 * @param {boolean} [isOpen]
 * @returns {Reading}
 */
export function readOn(before, text, isOpen = false) {
  if (before?.text === text && before.isOpen === isOpen) return before;
  const tied = isOpen ? withoutLooseEnds : (/** @type {string} */ whole) => whole;
  const kept = before?.tokens.slice(0, -2) ?? [];
  const length = lengthOf(kept);
  if (!before || before.links || !text.startsWith(before.text.slice(0, length))) return { text, isOpen, ...read(tied(text)) };
  const rest = read(tied(text.slice(length)));
  if (rest.links) return { text, isOpen, ...read(tied(text)) };
  return { text, isOpen, tokens: [...kept, ...rest.tokens], links: "" };
}

/**
 * @param {string} text
 * @returns {{ tokens: Token[], links: string }}
 */
function read(text) {
  const plain = { tokens: [{ type: "plain", raw: text }], links: "" };
  if (text.length > LONGEST || isSlow(text)) return plain;
  try {
    const tokens = lexer(text);
    const isWhole = lengthOf(tokens) === text.length; // not with \r\n
    return { tokens, links: isWhole ? defined(tokens.links) : `${text.length}` };
  } catch (error) {
    if (error instanceof RangeError) return plain; // nested too deep for the reader's stack
    throw error;
  }
}

/** @param {Token[]} tokens */
const lengthOf = (tokens) => tokens.reduce((length, { raw }) => length + raw.length, 0);

/** @param {string} text */
const isSlow = (text) => text.length > SLOW && text.split(/\s/).some((word) => word.length > SLOW && word.includes("@"));

/** @param {object} links */
const defined = (links) => (Object.keys(links).length ? JSON.stringify(links) : "");

/**
 * An element for a block.
 * @param {Token} token
 * @param {number} key
 * @param {number} depth
 * @returns {ReactNode}
 */
export function block(token, key, depth) {
  if (depth > DEEPEST) return html`<p key=${key} className="as-written">${token.raw}</p>`;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "paragraph":
      return html`<p key=${key}>${inline(token.tokens, depth)}</p>`;
    case "text":
      return token.tokens ? inline(token.tokens, depth) : inlined(token, key, depth);
    case "heading":
      return html`<${`h${Math.min(token.depth + 1, 6)}`} key=${key}>${inline(token.tokens, depth)}<//>`;
    case "code":
      return html`<${Code} key=${key} text=${token.text} language=${token.lang} />`;
    case "blockquote":
      return html`<blockquote key=${key}>${blocks(token.tokens, depth)}</blockquote>`;
    case "list":
      return list(token, key, depth);
    case "table":
      return table(token, key, depth);
    case "hr":
      return html`<hr key=${key} />`;
    case "html":
    case "plain":
      return html`<p key=${key} className="as-written">${token.raw.trimEnd()}</p>`;
    default:
      return inlined(token, key, depth);
  }
}

/**
 * @param {Token[]} tokens
 * @param {number} depth
 */
function blocks(tokens, depth) {
  return tokens.map((token, place) => block(token, place, depth + 1));
}

/**
 * @param {Token} token
 * @param {number} key
 * @param {number} depth
 */
function list({ ordered, start, items }, key, depth) {
  const lines = items.map((/** @type {Token} */ item, /** @type {number} */ place) =>
    html`<li key=${place} className=${item.task ? "task" : undefined}>${blocks(item.tokens, depth)}</li>`);
  return ordered ? html`<ol key=${key} start=${start}>${lines}</ol>` : html`<ul key=${key}>${lines}</ul>`;
}

/**
 * @param {Token} token
 * @param {number} key
 * @param {number} depth
 */
function table({ header, rows }, key, depth) {
  /** @param {"th" | "td"} kind */
  const cell = (kind) => (/** @type {Token} */ { tokens, align }, /** @type {number} */ place) =>
    html`<${kind} key=${place} className=${align ? `to-${align}` : undefined}>${inline(tokens, depth)}<//>`;
  return html`<div key=${key} className="sideways" tabIndex=${0} role="group" aria-label=${t("Table")}><table>
    <thead><tr>${header.map(cell("th"))}</tr></thead>
    <tbody>${rows.map((/** @type {Token[]} */ row, /** @type {number} */ place) => html`<tr key=${place}>${row.map(cell("td"))}</tr>`)}</tbody>
  </table></div>`;
}

/**
 * @param {Token[] | undefined} tokens
 * @param {number} depth
 * @returns {ReactNode}
 */
function inline(tokens, depth) {
  return tokens?.map((token, place) => inlined(token, place, depth + 1));
}

/**
 * An element for what stands in a line.
 * @param {Token} token
 * @param {number} key
 * @param {number} depth
 * @returns {ReactNode}
 */
function inlined(token, key, depth) {
  if (depth > DEEPEST) return token.raw;
  switch (token.type) {
    case "text":
      return token.tokens ? inline(token.tokens, depth) : decoded(token.text);
    case "escape":
      return token.text;
    case "strong":
    case "em":
    case "del":
      return html`<${token.type} key=${key}>${inline(token.tokens, depth)}<//>`;
    case "codespan":
      return html`<code key=${key}>${token.text}</code>`;
    case "br":
      return html`<br key=${key} />`;
    case "link":
    case "image":
      return link(token, key, depth);
    case "checkbox":
      return html`<input key=${key} type="checkbox" checked=${token.checked} disabled aria-label=${token.checked ? t("Done") : t("To do")} />`;
    default:
      return token.raw;
  }
}

/**
 * A link, or the text as it was written when it leads where no link of a model may lead. A link holds no other.
 * @param {Token} token
 * @param {number} key
 * @param {number} depth
 */
function link(token, key, depth) {
  const href = safeLink(decoded(token.href));
  if (!href) return token.raw;
  const inside = token.type === "image" ? decoded(token.text) || href : withoutLinks(token.tokens, depth);
  return html`<a key=${key} href=${href} target="_blank" rel="noopener noreferrer" title=${token.title ? decoded(token.title) : href}>${inside}</a>`;
}

/**
 * @param {Token[]} tokens
 * @param {number} depth
 */
function withoutLinks(tokens, depth) {
  return inline(
    tokens.map((token) => (token.type === "link" || token.type === "image" ? { type: "escape", raw: token.raw, text: token.text } : token)),
    depth,
  );
}

/**
 * The address as the browser will read it, when it is one that a model may link to: whole, http(s) or mailto.
 * @param {string} address
 */
export function safeLink(address) {
  const url = URL.parse?.(address) ?? parsed(address);
  return url && SCHEMES.has(url.protocol) ? url.href : null;
}

/** @param {string} address */
function parsed(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

/**
 * Text with its character references read; those that are not known stay.
 * @param {string} text
 */
export function decoded(text) {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{2,8}));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES.get(name) ?? whole;
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
  });
}

/** @param {{ text: string, language?: string }} props */
export function Code({ text, language = "" }) {
  const name = language.trim().split(/\s/)[0];
  return html`<figure className="code-block">
    <figcaption><span>${name || t("Text")}</span><${Copy} text=${text} label=${t("Copy code")} /></figcaption>
    <pre tabIndex=${0}><code>${text}</code></pre>
  </figure>`;
}
