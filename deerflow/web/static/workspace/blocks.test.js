import assert from "node:assert/strict";
import { test } from "node:test";
import { messageText, readBlocks } from "./blocks.js";

/**
 * @param {any} content
 * @param {any} [more]
 */
const kinds = (content, more = {}) => readBlocks({ type: "ai", content, ...more }).map((piece) => piece.kind);

test("pictures are known in the forms of LangChain, OpenAI and Anthropic", () => {
  for (const block of [
    { type: "image", base64: "AAAA", mime_type: "image/png" },
    { type: "image", source_type: "base64", data: "AAAA", mime_type: "image/png" },
    { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
    { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
    { type: "image_url", image_url: "data:image/png;base64,AAAA" },
    { type: "input_image", image_url: "data:image/png;base64,AAAA" },
  ]) {
    const [piece] = /** @type {any[]} */ (readBlocks({ type: "human", content: [block] }));
    assert.deepEqual([piece.kind, piece.mime, piece.data], ["picture", "image/png", "AAAA"], JSON.stringify(block));
  }
});

test("what could run as a picture is a file, and what has an address stays one", () => {
  assert.deepEqual(kinds([{ type: "image", base64: "AAAA", mime_type: "image/svg+xml" }]), ["file"]);
  const [piece] = /** @type {any[]} */ (readBlocks({ type: "ai", content: [{ type: "image", url: "https://a.example/x.png" }] }));
  assert.deepEqual([piece.url, piece.data], ["https://a.example/x.png", undefined]);
});

test("files keep their names", () => {
  const names = [
    { type: "file", base64: "AAAA", mime_type: "application/pdf", extras: { filename: "a.pdf" } },
    { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAAA" } },
    { type: "text-plain", text: "a", title: "a.pdf", mime_type: "text/plain" },
    { type: "file", source_type: "base64", data: "AAAA", mime_type: "application/pdf", metadata: { filename: "a.pdf" } },
  ].map((block) => /** @type {any} */ (readBlocks({ type: "human", content: [block] })[0]).name);
  assert.deepEqual(names, ["a.pdf", "a.pdf", "a.pdf", "a.pdf"]);
});

test("thoughts are known wherever they stand", () => {
  for (const block of [{ type: "reasoning", reasoning: "hm" }, { type: "thinking", thinking: "hm" }, { type: "reasoning", summary: [{ text: "hm" }] }]) {
    assert.deepEqual(readBlocks({ type: "ai", content: [block] }), [{ kind: "thought", text: "hm" }]);
  }
  assert.deepEqual(kinds("text", { additional_kwargs: { reasoning_content: "hm" } }), ["thought", "text"]);
});

test("parts of tool calls are not shown twice", () => {
  const block = { type: "tool_use", id: "1", name: "add", input: {} };
  assert.deepEqual(kinds([{ type: "text", text: "a" }, block], { tool_calls: [{ id: "1" }] }), ["text"]);
  assert.deepEqual(kinds([block]), ["json"]);
});

test("what is not known is shown as JSON, never left out", () => {
  for (const block of [{ type: "hologram", data: 1 }, 7, null, ["a"], { text: 1 }, { type: "text", text: null }, { type: "image" }]) {
    assert.deepEqual(kinds([block]), ["json"], JSON.stringify(block));
  }
  assert.deepEqual(kinds({ odd: true }), ["json"]);
});

test("the text of a message is its text alone", () => {
  assert.equal(messageText({ type: "ai", content: [{ type: "text", text: "a" }, { type: "image", url: "https://a" }, "b"] }), "a\n\nb");
  assert.equal(messageText({ type: "ai", content: null }), "");
});

test("what is no text in a file or picture breaks nothing", () => {
  const odd = [5, ["x"], { a: 1 }, null, true];
  const blocks = odd.flatMap((it) => [
    { type: "file", base64: it },
    { type: "text-plain", text: it, base64: it, url: it },
    { type: "image", source_type: "base64", data: it },
    { type: "image", source: { type: "base64", data: it } },
    { type: "audio", input_audio: { data: it } },
    { type: "file", text: it, url: it },
  ]);
  for (const piece of readBlocks({ type: "ai", content: blocks })) {
    for (const told of /** @type {any[]} */ ([piece]).flatMap(({ data, text, url }) => [data, text, url])) assert.ok(["string", "undefined"].includes(typeof told), JSON.stringify(piece));
  }
  assert.deepEqual(readBlocks({ type: "ai", content: "hello", tool_calls: /** @type {any} */ (null) }), [{ kind: "text", text: "hello" }]);
  assert.deepEqual(kinds([{ type: "tool_use" }], { tool_calls: null }), ["json"]);
});
