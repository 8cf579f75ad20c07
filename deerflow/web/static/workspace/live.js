// For the ear: one live region says that the agent answers, then the whole answer once. Tokens are never in it.

import { html, useEffect, useRef, useState } from "../vendor/workspace-vendor.js";
import { t } from "./strings.js";
import { plainText } from "./turns.js";

const MOST_SAID = 10_000; // characters

/** @param {{isStreaming: boolean, messages: any[]}} props */
export function Ear({ isStreaming, messages }) {
  const [said, setSaid] = useState("");
  const was = useRef(false);
  useEffect(() => {
    if (was.current === isStreaming) return;
    was.current = isStreaming;
    const last = messages.at(-1);
    setSaid(isStreaming ? t("Answering…") : last?.type === "ai" ? plainText(last).slice(0, MOST_SAID) : "");
  }, [isStreaming, messages]);
  return html`<div class="unseen" role="log" aria-live="polite" aria-atomic="true" id="ws-ear">${said}</div>`;
}
