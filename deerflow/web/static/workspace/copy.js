// A button that copies a text.

import { copyText } from "../copy.js";
import { html, useEffect, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { t } from "./strings.js";

export { copyText };

/**
 * A button that copies, and says so for a moment.
 * @param {{ text: string | (() => string), label?: string }} props
 */
export function Copy({ text, label = t("Copy") }) {
  const [told, tell] = useState("");
  useEffect(() => {
    if (!told) return;
    const timer = setTimeout(() => tell(""), 1500);
    return () => clearTimeout(timer);
  }, [told]);
  const copy = async () => {
    const isCopied = await copyText(typeof text === "string" ? text : text());
    tell(isCopied ? t("Copied") : t("Not copied: select it and use your keyboard"));
  };
  return html`<button type="button" className="tiny" title=${label} aria-label=${label} onClick=${copy}>
    <${Icon} name=${told ? "check" : "copy"} /><span role="status">${told}</span>
  </button>`;
}
