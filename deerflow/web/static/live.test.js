// A live part of a page, with a server that is played: what it asks, and what becomes of the answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { refresh } from "./live.js";

/** A part of a page as far as it is looked at. @param {string} text @returns {any} */
const partOf = (text) => ({
  innerHTML: text, childNodes: text, contains: () => false, hasAttribute: () => true, querySelector: () => null, querySelectorAll: () => [],
  /** @param {string[]} given */
  replaceChildren(...given) {
    this.innerHTML = given.join("");
  },
});

test("a page that is still the same is not taken again", async () => {
  const [shown, asked] = [partOf("before"), /** @type {any[]} */ ([])];
  const answers = [new Response("new", { headers: { ETag: 'W/"2"' } }), new Response(null, { status: 304 }), new Response("newer", { headers: { ETag: 'W/"3"' } })];
  Object.assign(globalThis, {
    location: { href: "http://here/console/threads", pathname: "/console/threads" },
    document: { getElementById: (/** @type {string} */ id) => (id === "list" ? shown : null), importNode: (/** @type {any} */ each) => each, dispatchEvent() {} },
    HTMLElement: class {},
    DOMParser: class {
      parseFromString = (/** @type {string} */ text) => ({ getElementById: () => partOf(text) });
    },
    fetch: async (/** @type {string} */ _url, /** @type {any} */ { headers }) => {
      asked.push(headers["If-None-Match"]);
      return answers.shift();
    },
  });
  const became = [];
  for (let times = 0; times < 3; times += 1) became.push([await refresh("list"), shown.innerHTML]);
  assert.deepEqual(became, [[true, "new"], [undefined, "new"], [true, "newer"]]);
  assert.deepEqual(asked, ["", 'W/"2"', 'W/"2"']);
});
