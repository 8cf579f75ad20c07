import assert from "node:assert/strict";
import { test } from "node:test";
import { readFiles } from "./files.js";

const file = (/** @type {string} */ name, /** @type {string} */ type, /** @type {any} */ content = "x") => new File([content], name, { type });

test("files become the content blocks of langchain", async () => {
  const { blocks } = await readFiles([
    file("a.png", "image/png"), file("b.pdf", "application/pdf"), file("c.md", ""), file("d.json", "application/json", "{}"),
    file("e.mp3", "audio/mpeg"), file("f.svg", "image/svg+xml", "<svg/>"), file("g.txt", "text/plain", new Uint8Array([0xff, 0xfe])), file("h", ""),
  ]);
  assert.deepEqual(blocks.map(({ type, mime_type }) => `${type} ${mime_type}`), [
    "image image/png", "file application/pdf", "text-plain text/plain", "text-plain text/plain",
    "audio audio/mpeg", "file image/svg+xml", "file text/plain", "file application/octet-stream",
  ]);
  assert.deepEqual(blocks[0], { type: "image", mime_type: "image/png", base64: "eA==", extras: { filename: "a.png" } });
  assert.deepEqual(blocks[2], { type: "text-plain", mime_type: "text/plain", text: "x", title: "c.md" });
});

test("what does not fit is told with both sizes, and what fits is taken", async () => {
  const limit = 400_000;
  const { blocks, refused } = await readFiles([file("big.bin", "", new Uint8Array(200_000)), file("small.bin", "", "x")], { limit });
  assert.deepEqual([blocks.length, refused[0].name], [1, "big.bin"]);
  assert.match(refused[0].reason, /^it has 200 kB; a message takes at most 103 kB$/);
});

test("what is attached already takes room", async () => {
  const limit = 500_000;
  const { blocks: held } = await readFiles([file("one.bin", "", new Uint8Array(100_000))], { limit });
  const { refused } = await readFiles([file("two.bin", "", new Uint8Array(100_000))], { limit, held });
  assert.match(refused[0].reason, /only 78 kB more/);
});

test("an empty file is not sent", async () => {
  assert.deepEqual((await readFiles([file("none", "", "")])).refused, [{ name: "none", reason: "it is empty" }]);
});
