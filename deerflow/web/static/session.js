// Who is signed in, for all scripts of a page. When the session has ended (here, in another tab, by an administrator)
// the page stays as it is, says so, and offers to sign in; what was typed is not lost.

import { ApiError, authClient } from "./client.js";

const ENDED = "deerflow:signed-out";
const ASK_AGAIN_MS = 30_000;

/** Ask again who is signed in when a tab comes back after a while. Pages without a session need not be asked. */
export function keepSession() {
  if (!banner()) return;
  const client = authClient({ root: document.documentElement.dataset.root });
  let asked = Date.now();
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible" || Date.now() - asked < ASK_AGAIN_MS) return;
    asked = Date.now();
    try {
      await client.me();
    } catch (error) {
      if (error instanceof ApiError && error.isSignedOut) sessionEnded();
    }
  });
}

/** Say, once, that nobody is signed in here any more. */
export function sessionEnded() {
  const said = banner();
  if (!said || !said.hidden) return;
  said.querySelector("a")?.setAttribute("href", signInPlace());
  said.hidden = false;
  document.dispatchEvent(new CustomEvent(ENDED));
}

/** Hear of it. @param {() => void} listener */
export function onSessionEnded(listener) {
  document.addEventListener(ENDED, listener);
}

/** Where one signs in and comes back from to this page. */
export function signInPlace() {
  const root = (document.documentElement.dataset.root ?? "").replace(/\/$/, "");
  const here = location.pathname.slice(root.length) + location.search;
  return `${root}/console/login?next=${encodeURIComponent(here)}`;
}

/** Whether an answer is the page where one signs in, to which the server leads who is signed in no more. @param {Response} answer */
export function isSignIn(answer) {
  return answer.redirected && new URL(answer.url).pathname.endsWith("/console/login");
}

/** @returns {HTMLElement | null} */
function banner() {
  return document.getElementById("ended");
}
