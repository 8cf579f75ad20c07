// A JSON value as a tree that folds, with search and copy. Only what is open is drawn, so size does not matter.

import { html, memo, useMemo, useState } from "../vendor/workspace-vendor.js";
import { Copy } from "./copy.js";
import { Icon } from "./icon.js";
import { useBeginning } from "./long.js";
import { t } from "./strings.js";

const LONG_TEXT = 600; // characters of a text before "show all"
const MANY = 100; // entries of a list or an object before "show more"
const MOST_FOUND = 1000;
const DEEPEST = 200;

/** @typedef {(string | number)[]} Path */

/** @typedef {{ value: unknown, label?: string, opened?: number, searches?: boolean }} JsonProps opened: levels open at first */

export const Json = memo(function Json(/** @type {JsonProps} */ { value, label = "", opened = 1, searches = false }) {
  const [asked, ask] = useState("");
  const found = useMemo(() => (asked ? find(value, asked) : null), [value, asked]);
  return html`<div className="json">
    <div className="json-bar">
      ${label && html`<span className="json-label">${label}</span>`}
      ${searches && html`<${Search} asked=${asked} onAsk=${ask} count=${found?.count} />`}
      <${Copy} text=${() => JSON.stringify(value, null, 2) ?? ""} label=${t("Copy as JSON")} />
    </div>
    <div className="json-tree" tabIndex=${0} role="group" aria-label=${label || "JSON"}>
      <${Node} value=${value} path="" depth=${0} opened=${opened} found=${found} asked=${asked.toLowerCase()} />
    </div>
  </div>`;
});

/** @param {{ asked: string, onAsk: (text: string) => void, count?: number }} props */
function Search({ asked, onAsk, count }) {
  return html`<label className="json-search"><${Icon} name="search" />
    <input type="search" value=${asked} placeholder=${t("Search")} aria-label=${t("Search in these values")}
      onInput=${(/** @type {InputEvent} */ event) => onAsk(/** @type {HTMLInputElement} */ (event.target).value)} />
    <span role="status">${count === undefined ? "" : count === 0 ? t("Nothing found") : count > MOST_FOUND ? t("more than {n} found", { n: MOST_FOUND }) : t("{n} found", { n: count })}</span>
  </label>`;
}

/** @typedef {{ count: number, places: Set<string>, on: Set<string> }} Found places: what fits; on: all that leads there */

/**
 * Where a text occurs in names and values, whatever its case.
 * @param {unknown} value
 * @param {string} asked
 * @returns {Found}
 */
export function find(value, asked) {
  const found = { count: 0, places: new Set(), on: new Set() };
  const wanted = asked.toLowerCase();
  /** @type {{ value: unknown, names: string[] }[]} */
  const open = [{ value, names: [] }];
  for (let next = open.pop(); next && found.count <= MOST_FOUND; next = open.pop()) {
    const { value: here, names } = next;
    const isFound = String(names.at(-1) ?? "").toLowerCase().includes(wanted) || (!isContainer(here) && String(here).toLowerCase().includes(wanted));
    if (isFound) note(found, names);
    if (isContainer(here) && names.length < DEEPEST)
      for (const [name, inside] of entries(here).reverse()) open.push({ value: inside, names: [...names, name] });
  }
  return found;
}

/**
 * @param {Found} found
 * @param {string[]} names
 */
function note(found, names) {
  found.count += 1;
  found.places.add(pointer(names));
  names.forEach((_, length) => found.on.add(pointer(names.slice(0, length))));
}

/**
 * The place of a value as one text (RFC 6901).
 * @param {string[]} names
 */
const pointer = (names) => names.map(step).join("");

/** @param {string} name */
const step = (name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/**
 * @param {unknown} value
 * @returns {value is object}
 */
const isContainer = (value) => typeof value === "object" && value !== null;

/**
 * @param {object} value
 * @returns {[string, unknown][]}
 */
const entries = (value) => Object.entries(value);

/** @typedef {{ value: unknown, name?: string, path: string, depth: number, opened: number, found: Found | null, asked: string }} NodeProps */

/** @param {NodeProps} props */
function Node(props) {
  return isContainer(props.value) ? html`<${Container} ...${props} />` : html`<${Leaf} ...${props} />`;
}

/** @param {NodeProps} props */
function Container({ value, name, path, depth, opened, found, asked }) {
  const [isOpen, open] = useState(depth < opened);
  const [shown, show] = useState(MANY);
  const inside = entries(/** @type {object} */ (value));
  if (!inside.length) return html`<div className="json-line"><${Name} name=${name} path=${path} found=${found} /><span className="json-faint">${Array.isArray(value) ? "[ ]" : "{ }"}</span></div>`;
  const isShown = found ? found.on.has(path) || (isOpen && found.places.has(path)) : isOpen;
  return html`<div>
    <button type="button" className="json-line json-fold" aria-expanded=${isShown} onClick=${() => open(!isShown)}>
      <${Icon} name=${isShown ? "down" : "right"} /><${Name} name=${name} path=${path} found=${found} />
      <span className="json-faint">${Array.isArray(value) ? `[${inside.length}]` : `{${inside.length}}`}</span>
      ${!isShown && html`<span className="json-faint json-inside">${preview(value)}</span>`}
    </button>
    ${isShown && html`<div className="json-inner">
      ${inside.slice(0, shown).map(([key, each]) => html`<${Node} key=${key} value=${each} name=${key} path=${path + step(key)} depth=${depth + 1} opened=${opened} found=${found} asked=${asked} />`)}
      ${inside.length > shown && html`<button type="button" className="tiny" onClick=${() => show(shown + 10 * MANY)}>${t("Show {n} more", { n: Math.min(inside.length - shown, 10 * MANY) })}</button>`}
    </div>`}
  </div>`;
}

/** @param {NodeProps} props */
function Leaf({ value, name, path, found, asked }) {
  const [shown, more] = useBeginning(typeof value === "string" ? value : String(value), LONG_TEXT);
  return html`<div className="json-line">
    <${Name} name=${name} path=${path} found=${found} />
    <span className=${`json-value ${value === null ? "is-null" : `is-${typeof value}`}`}>${marked(shown, found?.places.has(path) ? asked : "")}</span>
    ${more}
  </div>`;
}

/** @param {{ name?: string, path: string, found: Found | null }} props */
function Name({ name, path, found }) {
  if (name === undefined) return null;
  return html`<span className=${found?.places.has(path) ? "json-name is-found" : "json-name"}>${name}</span>`;
}

/**
 * The text with what was searched marked in it.
 * @param {string} text
 * @param {string} asked
 */
function marked(text, asked) {
  const at = asked ? text.toLowerCase().indexOf(asked) : -1;
  if (at < 0) return text;
  return html`${text.slice(0, at)}<mark>${text.slice(at, at + asked.length)}</mark>${text.slice(at + asked.length)}`;
}

/**
 * The beginning of what is in a folded one, in one short line.
 * @param {unknown} value
 */
export function preview(value) {
  const inside = entries(/** @type {object} */ (value)).slice(0, 4);
  const text = inside.map(([name, each]) => (Array.isArray(value) ? brief(each) : `${name}: ${brief(each)}`)).join(", ");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** @param {unknown} value */
function brief(value) {
  if (Array.isArray(value)) return `[${value.length}]`;
  if (!isContainer(value)) return typeof value === "string" ? value.slice(0, 40).replace(/\s+/g, " ") : String(value);
  const { content } = /** @type {{ content?: unknown }} */ (value);
  return typeof content === "string" && content ? `“${content.slice(0, 20).replace(/\s+/g, " ")}”` : "{…}"; // a message
}
