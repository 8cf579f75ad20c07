// Where in the code a run failed, for administrators. The run's page has it, and is asked for it when somebody looks.

import { isSignIn } from "../session.js";
import { html, useState } from "../vendor/workspace-vendor.js";
import { page, t } from "./strings.js";
import { Code } from "./text.js";

/** @param {{ runId: string }} props */
export function Traceback({ runId }) {
  const [told, tell] = useState({ text: "", problem: "" });
  const look = async (/** @type {ToggleEvent} */ event) => {
    const isOpen = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
    if (isOpen && !told.text) tell(await read(runId));
  };
  return html`<details className="ws-traceback" onToggle=${look}>
    <summary>${t("Traceback")}</summary>
    ${told.text && html`<${Code} text=${told.text} language="Python" />`}
    ${told.problem && html`<p>${told.problem}</p>`}
  </details>`;
}

/** @param {string} runId */
async function read(runId) {
  try {
    const answer = await fetch(`${page.console}/runs/${runId}`, { headers: { Accept: "text/html" } });
    if (!answer.ok || isSignIn(answer)) throw new Error(answer.statusText);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#traceback pre");
    return { text: found?.textContent ?? "", problem: found ? "" : t("No traceback was kept of this run.") };
  } catch {
    return { text: "", problem: t("The traceback could not be read.") };
  }
}
