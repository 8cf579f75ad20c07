// What is very long: how much of it is shown, edited, said and read at once.

import { html, useState } from "../vendor/workspace-vendor.js";
import { t } from "./strings.js";

/** Characters; a field with more makes each letter that is typed wait. */
export const MOST_EDITED = 200_000;

/**
 * A text, its beginning if it is long; and the button that shows the rest, where there is one.
 * @param {string} text
 * @param {number} most characters
 * @returns {[string, any]}
 */
export function useBeginning(text, most) {
  const [isWhole, showWhole] = useState(false);
  if (isWhole || text.length <= most) return [text, null];
  return [text.slice(0, most), html`<button type="button" className="tiny" onClick=${() => showWhole(true)}>${t("Show all {n} characters", { n: text.length })}</button>`];
}
