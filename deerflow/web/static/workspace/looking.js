// The mark over a conversation that shows an earlier step: nobody shall take it for where the thread stands now.

import { html } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { clock, t } from "./strings.js";

/** @param {{ step: number, total: number, at?: string | null, onBack: () => void }} props */
export function Looking({ step, total, at, onBack }) {
  return html`<div className="looking" role="status">
    <${Icon} name="clock" />
    <p><strong>${t("You are looking at step {step} of {total}.", { step, total })}</strong>${" "}
      ${at ? t("This is how the thread stood at {at}.", { at: clock(at) }) : t("This is how the thread stood then.")}</p>
    <button type="button" className="button quiet small" onClick=${onBack}>${t("Back to now")}</button>
  </div>`;
}
