// The way to the server: the SDK's client on this page's own origin, and what is learnt of the connection on the way.

import { Client } from "../vendor/workspace-vendor.js";
import { newId } from "./strings.js";

/**
 * @typedef {object} Link
 * @property {boolean} isAway nobody has answered the last request
 * @property {boolean} isSignedOut
 */

/** What is known of the connection, for `useSyncExternalStore`. */
export class Line {
  /** @type {Link} */
  state = { isAway: false, isSignedOut: false };
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /** @param {() => void} listener */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = () => this.state;

  /** @param {Partial<Link>} told */
  tell(told) {
    const next = { ...this.state, ...told };
    if (next.isAway === this.state.isAway && next.isSignedOut === this.state.isSignedOut) return;
    this.state = next;
    for (const listener of this.#listeners) listener();
  }
}

/** A proxy whose server is away; or a server whose database is. */
const AWAY = new Set([502, 503, 504]);

/**
 * A client of the API for who is signed in here.
 * @param {import("./strings.js").Page} page
 * @param {Line} line
 */
export function connect(page, line) {
  return new Client({
    apiUrl: `${location.origin}${page.base}`,
    apiKey: null,
    callerOptions: { fetch: watched(page, line), maxRetries: 2 },
  });
}

/**
 * The browser's fetch with our token, which tells the line how it went.
 * @param {import("./strings.js").Page} page
 * @param {Line} line
 * @returns {typeof fetch}
 */
function watched(page, line) {
  /** What has been tried before has its key, so that it is done once. @type {WeakMap<object, string>} */
  const keys = new WeakMap();
  /** @param {any} resource @param {RequestInit} init */
  const call = (resource, init) => {
    const headers = new Headers(init.headers);
    if (page.csrf) headers.set("X-CSRFToken", page.csrf); // some GETs can change something, too
    if (begins(resource, init)) headers.set("Idempotency-Key", keyFor(keys, init));
    return fetch(resource, { ...init, headers });
  };
  return async (resource, init = {}) => {
    try {
      let answer = await call(resource, init);
      if (answer.status === 403 && page.csrf && (await renewed(page))) answer = await call(resource, init);
      line.tell({ isAway: AWAY.has(answer.status), isSignedOut: answer.status === 401 });
      return answer;
    } catch (error) {
      if (!init.signal?.aborted) line.tell({ isAway: true });
      throw error;
    }
  };
}

/** Whether there is another token: somebody has signed in anew in another tab. @param {import("./strings.js").Page} page */
async function renewed(page) {
  const answer = await fetch(`${page.base}/api/v1/auth/csrf`);
  const token = answer.ok ? (await answer.json()).csrf_token : page.csrf;
  if (token === page.csrf) return false;
  page.csrf = token;
  return true;
}

/** Look whether the server is there again. @param {import("./strings.js").Page} page @param {Line} line */
export async function ping(page, line) {
  try {
    line.tell({ isAway: !(await fetch(`${page.base}/ok`)).ok });
  } catch {
    line.tell({ isAway: true });
  }
}

/** @param {string | undefined} method */
function isChange(method) {
  return !["GET", "HEAD", undefined].includes(method?.toUpperCase());
}

/** Whether a request makes a run or a thread. @param {any} resource @param {RequestInit} init */
function begins(resource, init) {
  const { pathname } = new URL(resource.url ?? resource, location.href);
  return isChange(init.method) && /\/(threads|runs|runs\/stream)$/.test(pathname);
}

/** @param {WeakMap<object, string>} keys @param {object} init */
function keyFor(keys, init) {
  const key = keys.get(init) ?? newId();
  keys.set(init, key);
  return key;
}
