// Words, times and the page's own data: what the server has put into `<script type="application/json" id="page">`.

/**
 * @typedef {object} Agent
 * @property {string} assistant_id
 * @property {string} name
 * @property {string} graph_id
 * @property {string} description its beginning; empty where there is none
 */

/**
 * @typedef {object} Page
 * @property {string} base where the API is, without a slash at the end
 * @property {string} console where the pages are
 * @property {string | null} thread_id
 * @property {string | null} title
 * @property {string | null} assistant_id
 * @property {Agent[]} agents
 * @property {string} user whose drafts are kept here
 * @property {string | null} csrf null: none is needed
 * @property {boolean} may_write
 * @property {boolean} is_admin
 * @property {string} locale
 * @property {string | null} time_zone
 * @property {number} body_bytes how much one request may carry
 * @property {Record<string, string>} strings the page's language by English text; empty in English
 */

/** @type {Page} */
const NOBODY = {
  base: "", console: "/console", thread_id: null, title: null, assistant_id: null, agents: [], user: "", csrf: null,
  may_write: true, is_admin: false, locale: "en-US", time_zone: null, body_bytes: 0, strings: {},
};

/** What the page knows; defaults where there is no page, as in tests. @type {Page} */
export const page = { ...NOBODY, ...read() };

function read() {
  const found = typeof document === "undefined" ? null : document.getElementById("page");
  return found ? JSON.parse(found.textContent ?? "{}") : {};
}

/**
 * A text in the page's language; `{name}` stands for a value.
 * @param {string} text in English
 * @param {Record<string, string | number>} [values]
 */
export function t(text, values = {}) {
  const said = page.strings[text] ?? text;
  return said.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

const UNITS = /** @type {const} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60]]);

/**
 * How long ago, in words.
 * @param {string} iso
 * @param {number} [now] milliseconds
 */
export function ago(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Number.isNaN(seconds)) return "";
  const words = new Intl.RelativeTimeFormat(page.locale, { numeric: "auto" });
  const found = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return found ? words.format(Math.trunc(seconds / found[1]), found[0]) : t("just now");
}

/**
 * The time of day in the reader's zone; with the date when it is not today's.
 * @param {string} iso
 */
export function clock(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const zone = page.time_zone ?? undefined;
  /** @param {Date} each */
  const day = (each) => each.toLocaleDateString(page.locale, { timeZone: zone });
  const date = day(at) === day(new Date()) ? {} : /** @type {const} */ ({ month: "short", day: "numeric" });
  return at.toLocaleString(page.locale, { timeZone: zone, hour: "2-digit", minute: "2-digit", ...date });
}

/** An id that nobody else has; `crypto.randomUUID` is only there on https and this machine. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
