// Lists that stay up to date: what has data-live="5" is fetched again every 5 s while the tab is visible. Polling on
// purpose: it holds no connection. Focus, ticked boxes and open questions stay as the reader has left them.

import { isSignIn, sessionEnded } from "./session.js";

/** The version of the page that each part is of, as far as it is known: the same one is not sent again. @type {Map<string, string>} */
const versions = new Map();

/** Watch all that the page has. */
export function keepLive() {
  for (const element of document.querySelectorAll("[data-live]")) watch(element.id, Number(element.getAttribute("data-live")));
}

/** @param {string} id @param {number} seconds */
function watch(id, seconds) {
  let last = Date.now();
  const timer = setInterval(async () => {
    if (document.visibilityState !== "visible" || Date.now() - last < seconds * 1000) return;
    last = Date.now();
    if (!isInUse(id) && (await refresh(id)) === false) clearInterval(timer);
  }, 1000);
}

/**
 * Fetch a part of the page now; whether it is still one that changes, undefined when nothing new is known.
 * @param {string} id
 * @param {string} from  the page that has it, if not this one
 * @returns {Promise<boolean | undefined>}
 */
export async function refresh(id, from = location.href) {
  const found = await fetched(id, from);
  if (!found?.part || isInUse(id)) return undefined;
  versions.set(`${id} ${from}`, found.version);
  swap(id, found.part);
  return found.part.hasAttribute("data-live");
}

/** The same part of the page as it is now; null when it is the same one or cannot be had. @param {string} id @param {string} from */
async function fetched(id, from) {
  const away = document.getElementById("away");
  try {
    const answer = await fetch(from, { headers: { Accept: "text/html", "If-None-Match": versions.get(`${id} ${from}`) ?? "" } });
    if (away) away.hidden = answer.status < 500;
    if (isSignIn(answer)) return void sessionEnded();
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return void location.reload();
    if (answer.status === 404) return void location.reload(); // what was shown has gone
    if (!answer.ok) return null;
    const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    return { part, version: answer.headers.get("ETag") ?? "" };
  } catch {
    if (away) away.hidden = false;
    return null;
  }
}

/** Whether the reader is about to do something there that must not vanish. @param {string} id */
function isInUse(id) {
  const element = document.getElementById(id);
  if (element?.querySelector("details[open], input:not([type=checkbox]):focus, textarea:focus, select:focus")) return true;
  return [...(element?.querySelectorAll("textarea, input[type=radio]") ?? [])].some(isChanged);
}

/** Whether something was typed or chosen that is not sent yet. @param {Element} field */
function isChanged(field) {
  if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
  return field instanceof HTMLInputElement && field.checked !== field.defaultChecked;
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
