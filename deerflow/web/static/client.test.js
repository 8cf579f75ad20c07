// The account API's client, with a server that is played: what it sends, and what becomes of a refusal.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, authClient } from "./client.js";

/**
 * A server that answers by the call, and notes what it was sent.
 * @param {Record<string, {status?: number, body?: unknown, headers?: Record<string, string>}>} answers
 */
function server(answers) {
  /** @type {{call: string, token: string | null, body: any}[]} */
  const sent = [];
  /** @param {any} url @param {any} options */
  const fetch = async (url, { method, headers, body }) => {
    const call = `${method} ${url}`;
    sent.push({ call, token: headers["X-CSRFToken"] ?? null, body: body && JSON.parse(body) });
    const { status = 200, body: told, headers: more } = answers[call] ?? { status: 404, body: { detail: "Not Found" } };
    return new Response(told === undefined ? null : JSON.stringify(told), { status, headers: more });
  };
  return { sent, fetch: /** @type {typeof globalThis.fetch} */ (fetch) };
}

const ME = { user: { user_id: "u" }, permissions: [], csrf_token: "of the session" };

test("what changes something carries the session's token, which is read once", async () => {
  const { sent, fetch } = server({
    "GET /api/v1/auth/me": { body: ME },
    "PATCH /api/v1/auth/me": { body: ME.user },
    "DELETE /api/v1/auth/sessions": { body: { ended: 2 } },
  });
  const client = authClient({ fetch });
  await client.changeProfile({ name: "Ada" });
  assert.deepEqual(await client.endOtherSessions(), { ended: 2 });
  assert.deepEqual(sent.map(({ call, token }) => [call, token]), [
    ["GET /api/v1/auth/me", null],
    ["PATCH /api/v1/auth/me", "of the session"],
    ["DELETE /api/v1/auth/sessions", "of the session"],
  ]);
  assert.deepEqual(sent[1].body, { name: "Ada" });
});

test("who is not signed in yet signs in with the token from before, and goes on with the new one", async () => {
  const { sent, fetch } = server({
    "GET /x/api/v1/auth/me": { status: 401, body: { detail: "Sign in" } },
    "GET /x/api/v1/auth/csrf": { body: { csrf_token: "from before" } },
    "POST /x/api/v1/auth/login": { body: ME },
    "POST /x/api/v1/auth/keys": { status: 201, body: { key: "df_1" } },
  });
  const client = authClient({ root: "/x/", fetch });
  assert.equal((await client.login({ email: "a@b", password: "p" })).user.user_id, "u");
  assert.equal((await client.createKey({ name: "k" })).key, "df_1");
  assert.deepEqual(sent.slice(2).map(({ token }) => token), ["from before", "of the session"]);
});

test("a new password's answer has the token to go on with", async () => {
  const { sent, fetch } = server({
    "GET /api/v1/auth/me": { body: ME },
    "POST /api/v1/auth/change-password": { body: { ...ME, csrf_token: "renewed" } },
    "DELETE /api/v1/auth/keys/a%2Fb": { status: 204 },
  });
  const client = authClient({ fetch });
  await client.changePassword({ password: "p", new_password: "q" });
  assert.equal(await client.revokeKey("a/b"), null);
  assert.equal(sent.at(-1)?.token, "renewed");
});

test("a refusal is an error with the sentence, the status, the request's name and the wait", async () => {
  const headers = { "X-Request-Id": "req-1", "Retry-After": "42" };
  const { fetch } = server({ "GET /api/v1/auth/keys": { status: 429, body: { detail: "Too many" }, headers } });
  await assert.rejects(authClient({ fetch }).keys(), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.message, error.status, error.requestId, error.retryAfter], ["Too many", 429, "req-1", 42]);
    return !error.isSignedOut;
  });
});

test("an answer that is no JSON is an error as well", async () => {
  const fetch = /** @type {typeof globalThis.fetch} */ (async () => new Response("<h1>Bad Gateway</h1>", { status: 502, statusText: "Bad Gateway" }));
  await assert.rejects(authClient({ fetch }).me(), { message: "Bad Gateway", status: 502 });
});

test("nobody is signed in any more", async () => {
  const { fetch } = server({ "GET /api/v1/auth/me": { status: 401, body: { detail: "Sign in" } } });
  await assert.rejects(authClient({ fetch }).me(), (error) => error instanceof ApiError && error.isSignedOut);
});
