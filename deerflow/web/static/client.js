// The account API, typed: signing in and out, one's account, sessions and keys; users and the audit for administrators.
// Whatever is refused is an ApiError with the server's sentence. The session's token is sent along; nobody has to know it.

/**
 * @typedef {"admin" | "user"} Role
 * @typedef {"read" | "run" | "admin"} Scope
 * @typedef {object} User
 * @property {string} user_id
 * @property {string | null} [email]
 * @property {string | null} [name]
 * @property {Role | null} [role]
 * @property {"en-US" | "zh-CN" | null} [language]
 * @property {string | null} [time_zone]
 * @property {"system" | "light" | "dark" | null} [scheme]
 * @property {string | null} [created_at]
 * @typedef {{user: User, permissions: string[], csrf_token?: string | null}} Me
 * @typedef {{session_id: string, browser: string, address: string, created_at: string, last_seen_at: string, expires_at: string, current: boolean}} Session
 * @typedef {{key_id: string, name: string, prefix: string, scope: Scope, state: "active" | "expired" | "revoked", created_at: string, expires_at: string | null, last_used_at: string | null, revoked_at: string | null}} Key
 * @typedef {Key & {key: string}} NewKey
 * @typedef {User & {disabled_at: string | null}} Account
 */

const BASE = "/api/v1/auth";

/** What the server has refused: its sentence, the status, the request's name in the log, and when to try again. */
export class ApiError extends Error {
  /** @param {string} sentence @param {number} status @param {Headers} headers */
  constructor(sentence, status, headers) {
    super(sentence);
    this.name = "ApiError";
    this.status = status;
    this.requestId = headers.get("X-Request-Id");
    this.retryAfter = Number(headers.get("Retry-After")) || null;
  }

  /** Whether nobody is signed in any more. */
  get isSignedOut() {
    return this.status === 401;
  }
}

/**
 * The calls. *root*: the server's path prefix; *fetch*: for tests.
 * @param {{root?: string, fetch?: typeof globalThis.fetch}} [options]
 */
export function authClient({ root = "", fetch = globalThis.fetch } = {}) {
  let token = "";

  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  async function call(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET") headers["X-CSRFToken"] = token || (await readToken());
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await fetch(`${root.replace(/\/$/, "")}${BASE}${path}`, { method, headers, body: sent, credentials: "same-origin" });
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new ApiError(told?.detail ?? answer.statusText, answer.status, answer.headers);
    if (told?.csrf_token) token = told.csrf_token;
    return told;
  }

  /** The token of who is signed in, or of who is about to. */
  async function readToken() {
    try {
      await call("GET", "/me");
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isSignedOut) throw error;
      await call("GET", "/csrf");
    }
    return token;
  }

  return {
    /** @returns {Promise<{status: "needed" | "not_needed" | "unknown"}>} */
    setUpStatus: () => call("GET", "/setup-status"),
    /** @param {{token: string, email: string, password: string, name?: string, language?: string}} body @returns {Promise<Me>} */
    initialize: (body) => call("POST", "/initialize", body),
    /** @param {{email: string, password: string, remember?: boolean}} body @returns {Promise<Me>} */
    login: (body) => call("POST", "/login", body),
    /** @param {{email: string, password: string, name?: string}} body @returns {Promise<Me>} */
    register: (body) => call("POST", "/register", body),
    /** @param {{token: string, password: string}} body @returns {Promise<void>} */
    resetPassword: (body) => call("POST", "/reset-password", body),
    /** @returns {Promise<void>} */
    async logout() {
      await call("POST", "/logout");
      token = "";
    },
    /** @returns {Promise<Me>} */
    me: () => call("GET", "/me"),
    /** @param {{name?: string | null, language?: string | null, time_zone?: string | null, scheme?: string | null}} body @returns {Promise<User>} */
    changeProfile: (body) => call("PATCH", "/me", body),
    /** @param {{password: string, new_password: string}} body @returns {Promise<Me>} */
    changePassword: (body) => call("POST", "/change-password", body),
    /** @param {{password: string, email: string}} body @returns {Promise<Me>} */
    changeEmail: (body) => call("POST", "/change-email", body),
    /** @returns {Promise<Session[]>} */
    sessions: () => call("GET", "/sessions"),
    /** @param {string} id @returns {Promise<void>} */
    endSession: (id) => call("DELETE", `/sessions/${encodeURIComponent(id)}`),
    /** @returns {Promise<{ended: number}>} */
    endOtherSessions: () => call("DELETE", "/sessions"),
    /** @returns {Promise<Key[]>} */
    keys: () => call("GET", "/keys"),
    /** @param {{name: string, scope?: Scope, expires_in_days?: number | null, expires_at?: string | null}} body @returns {Promise<NewKey>} */
    createKey: (body) => call("POST", "/keys", body),
    /** @param {string} id @returns {Promise<void>} */
    revokeKey: (id) => call("DELETE", `/keys/${encodeURIComponent(id)}`),
    /** @returns {Promise<Account[]>} */
    users: () => call("GET", "/users"),
    /** @param {{email: string, role?: Role, name?: string}} body @returns {Promise<Account & {reset_token: string}>} */
    createUser: (body) => call("POST", "/users", body),
    /** @param {string} id @param {{role?: Role, name?: string | null, disabled?: boolean}} body @returns {Promise<Account>} */
    changeUser: (id, body) => call("PATCH", `/users/${encodeURIComponent(id)}`, body),
  };
}
