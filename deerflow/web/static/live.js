// Lists that stay up to date: what has data-live="5" is fetched again every 5 s while the tab is visible. Polling on
// purpose: it holds no connection. Focus, ticked boxes and open questions stay as the reader has left them.

import { isSignIn, sessionEnded } from "./session.js";

/** Watch all that the page has. */
export function keepLive() {
  for (const element of document.querySelectorAll("[data-live]")) watch(element.id, Number(element.getAttribute("data-live")));
}

/** @param {string} id @param {number} seconds */
function watch(id, seconds) {
  let last = Date.now();
  setInterval(async () => {
    if (document.visibilityState !== "visible" || Date.now() - last < seconds * 1000) return;
    last = Date.now();
    if (isInUse(id)) return;
    const found = await fetched(id);
    if (found && !isInUse(id)) swap(id, found);
  }, 1000);
}

/** The same part of the page as it is now; null when it cannot be had. @param {string} id */
async function fetched(id) {
  const away = document.getElementById("away");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (away) away.hidden = answer.status < 500;
    if (isSignIn(answer)) return void sessionEnded();
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return void location.reload();
    if (!answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
  } catch {
    if (away) away.hidden = false;
    return null;
  }
}

/** Whether the reader is about to do something there that must not vanish. @param {string} id */
function isInUse(id) {
  const element = document.getElementById(id);
  return Boolean(element?.querySelector("details[open], input:focus, textarea:focus, select:focus"));
}

/** @param {string} id @param {Element} fresh */
function swap(id, fresh) {
  const old = document.getElementById(id);
  if (!old || old.innerHTML === fresh.innerHTML) return;
  const focused = document.activeElement instanceof HTMLElement && old.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && (focused.id || focused.getAttribute("href"));
  const ticked = [...old.querySelectorAll("input[type=checkbox]:checked")].map((box) => /** @type {HTMLInputElement} */ (box).value);
  old.replaceChildren(...document.importNode(fresh, true).childNodes);
  for (const box of old.querySelectorAll("input[type=checkbox]")) {
    const input = /** @type {HTMLInputElement} */ (box);
    input.checked = ticked.includes(input.value);
  }
  if (key) {
    const again = document.getElementById(key) ?? old.querySelector(`[href="${CSS.escape(key)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }
  document.dispatchEvent(new CustomEvent("deerflow:live", { detail: { id } }));
}
