// What a message holds, in the forms of LangChain and of the providers, read into the few kinds of pieces that are shown.

/**
 * @typedef {{ type: string, id?: string, name?: string, content: any, tool_calls?: any[], invalid_tool_calls?: any[], additional_kwargs?: any, status?: string, artifact?: any, tool_call_id?: string }} Said
 * @typedef {{ kind: "text" | "thought", text: string }
 *   | { kind: "picture" | "file", name: string, mime: string, data?: string, text?: string, url?: string, media: string }
 *   | { kind: "json", label: string, value: unknown }} Piece data: base64; media: image, audio, video or file
 */

/** Parts of a tool call: its whole stands in tool_calls. */
const OF_CALLS = new Set(["tool_use", "tool_call", "tool_call_chunk", "input_json_delta", "function_call", "invalid_tool_call"]);
const MEDIA = new Set(["image", "audio", "video", "file", "document"]);
const PICTURES = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/;

/**
 * The pieces of a message, in their order.
 * @param {Said} message
 * @returns {Piece[]}
 */
export function readBlocks({ content, tool_calls, additional_kwargs: beside }) {
  const blocks = typeof content === "string" ? [{ type: "text", text: content }] : Array.isArray(content) ? content : content == null ? [] : [content];
  const thought = typeof beside?.reasoning_content === "string" ? [{ type: "reasoning", reasoning: beside.reasoning_content }] : [];
  const refusal = typeof beside?.refusal === "string" ? [beside.refusal] : [];
  return [...thought, ...blocks, ...refusal]
    .filter((block) => !(OF_CALLS.has(block?.type) && (tool_calls?.length || block.type.endsWith("chunk") || block.type.endsWith("delta"))))
    .map(piece)
    .filter((each) => !("text" in each) || each.kind === "file" || each.text !== "");
}

/**
 * Its text, as it was written: for copying, for editing, for the ear.
 * @param {Said} message
 */
export function messageText(message) {
  return readBlocks(message).flatMap((each) => (each.kind === "text" ? [each.text] : [])).join("\n\n");
}

/**
 * @param {any} block
 * @returns {Piece}
 */
function piece(block) {
  if (typeof block === "string") return { kind: "text", text: block };
  const { type } = block ?? {};
  if ((type === "text" || type === "output_text" || type === "input_text") && typeof block.text === "string") return { kind: "text", text: block.text };
  if (type === "refusal" && typeof block.refusal === "string") return { kind: "text", text: block.refusal };
  const thought = thoughtIn(block);
  if (thought !== null) return { kind: "thought", text: thought };
  if (type === "text-plain") return { kind: "file", media: "file", mime: "text/plain", name: nameOf(block), text: textIn(block.text), data: textIn(block.base64), url: textIn(block.url) };
  return mediaIn(block) ?? { kind: "json", label: String(type ?? typeof block), value: block };
}

/** @param {any} block */
function thoughtIn(block) {
  if (block?.type === "thinking" && typeof block.thinking === "string") return block.thinking;
  if (block?.type !== "reasoning") return null;
  if (typeof block.reasoning === "string") return block.reasoning;
  const parts = block.summary ?? block.content;
  return Array.isArray(parts) ? parts.map((part) => part?.text ?? "").join("\n\n") : null;
}

/**
 * A picture, a sound, a film or a file: LangChain's blocks of today and before, OpenAI's and Anthropic's.
 * @param {any} block
 * @returns {Piece | null}
 */
function mediaIn(block) {
  const type = String(block?.type ?? "");
  const media = type.replace(/_url$|^input_/g, "");
  if (!MEDIA.has(media)) return null;
  const at = addressIn(block, type);
  const own = at?.startsWith("data:") ? dataUrl(at) : null;
  const source = block.source ?? {};
  const data = own?.data ?? textIn(block.base64 ?? (block.source_type === "base64" ? block.data : undefined) ?? (source.type === "base64" ? source.data : undefined) ?? block.input_audio?.data);
  const mime = String(own?.mime ?? block.mime_type ?? source.media_type ?? (media === "image" ? "image/*" : "application/octet-stream"));
  const url = own ? undefined : at;
  const text = textIn(block.text);
  if (data === undefined && url === undefined && text === undefined) return null;
  const isPicture = media === "image" && (data === undefined || PICTURES.test(mime));
  return { kind: isPicture ? "picture" : "file", media: media === "document" ? "file" : media, mime, data, url, text: data ? undefined : text, name: nameOf(block) };
}

/**
 * @param {any} block
 * @param {string} type
 * @returns {string | undefined}
 */
function addressIn(block, type) {
  const found = block[type]?.url ?? (typeof block[type] === "string" ? block[type] : undefined) ?? block.image_url ?? block.file?.file_data ?? block.url ?? block.source?.url;
  return typeof found === "string" ? found : undefined;
}

/** What is no text is none: anything may stand in a message. @param {any} told @returns {string | undefined} */
const textIn = (told) => (typeof told === "string" ? told : undefined);

/** @param {any} block */
function nameOf(block) {
  const told = block.extras?.filename ?? block.metadata?.filename ?? block.metadata?.name ?? block.filename ?? block.file?.filename ?? block.title ?? block.name;
  return typeof told === "string" ? told : "";
}

/** @param {string} url */
function dataUrl(url) {
  const [, mime = "", data] = /^data:([^;,]*)[^,]*;base64,(.*)$/s.exec(url) ?? [];
  return data === undefined ? null : { mime, data };
}
