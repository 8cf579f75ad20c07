// Copying a text: what the browser has for it where it may be used, else the way of before.

import { html, useEffect, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { t } from "./strings.js";

/**
 * Put a text on the clipboard; false when the browser does not let us.
 * @param {string} text
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // plain http from another machine: there is no clipboard there
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const [field, before] = [document.createElement("textarea"), /** @type {HTMLElement | null} */ (document.activeElement)];
  field.value = text;
  field.readOnly = true;
  field.className = "off-screen";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return isCopied;
}

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
