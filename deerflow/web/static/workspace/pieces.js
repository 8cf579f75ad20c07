// Pictures and files of a message. Nothing is loaded from elsewhere: what has an address is a link.

import { html, useState } from "../vendor/workspace-vendor.js";
import { Icon } from "./icon.js";
import { t } from "./strings.js";
import { safeLink } from "./text.js";

/** @typedef {Extract<import("./blocks.js").Piece, { kind: "picture" | "file" }>} Media */

/** @param {{ piece: Media }} props */
export function Picture({ piece }) {
  const [isBroken, noteBroken] = useState(false);
  if (!piece.data || isBroken) return html`<${FileChip} piece=${piece} />`;
  const name = piece.name || t("Image");
  return html`<img className="picture" alt=${name} title=${piece.name || undefined} src=${`data:${piece.mime};base64,${piece.data}`} onError=${() => noteBroken(true)} />`;
}

/** @param {{ piece: Media }} props */
export function FileChip({ piece }) {
  const name = piece.name || nameless(piece.media);
  const href = piece.url && safeLink(piece.url);
  if (href) return html`<p className="chip"><${Icon} name=${iconOf(piece.media)} /><a href=${href} target="_blank" rel="noopener noreferrer" title=${href}>${piece.name || href}</a></p>`;
  const isLeftOut = piece.data?.startsWith("["); // an event that was too large says so in its place
  const size = piece.text?.length ?? (piece.data && !isLeftOut ? Math.floor((piece.data.length * 3) / 4) : undefined);
  return html`<p className="chip">
    <${Icon} name=${iconOf(piece.media)} /><span className="chip-name">${name}</span>
    ${size !== undefined && html`<span className="faint">${sized(size)}</span>`}
    ${isLeftOut && html`<span className="faint">${t("too large to show while the run goes on")}</span>`}
    ${size !== undefined && html`<button type="button" className="tiny" onClick=${() => save(piece, name)}><${Icon} name="down" />${t("Save")}</button>`}
  </p>`;
}

/** @param {string} media */
const nameless = (media) => ({ image: t("Image"), audio: t("Audio"), video: t("Video") })[media] ?? t("File");

/** @param {string} media */
export const iconOf = (media) => ({ image: "image", audio: "sound" })[media] ?? "file";

/**
 * Let the browser save it. Its bytes come from the message, so nothing is asked of anybody.
 * @param {Media} piece
 * @param {string} name
 */
function save(piece, name) {
  const bytes = piece.text ?? Uint8Array.from(atob((piece.data ?? "").replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * A size as people say it.
 * @param {number} bytes
 */
export function sized(bytes) {
  if (bytes < 1000) return t("{n} bytes", { n: bytes });
  if (bytes < 999_500) return t("{n} kB", { n: Math.round(bytes / 1000) });
  return t("{n} MB", { n: (bytes / 1e6).toFixed(1) });
}
