// A time in words that people use, with the exact one behind it.

import { html } from "../vendor/workspace-vendor.js";
import { ago } from "./strings.js";

/** @param {{ at: string }} props ISO 8601 */
export function When({ at }) {
  return html`<time dateTime=${at} title=${utc(at)}>${ago(at)}</time>`;
}

/** @param {string} at */
function utc(at) {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? at : `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
