// The small drawings of the workspace: lines of 1.5 on a grid of 16, in the colour of the text.

import { html } from "../vendor/workspace-vendor.js";

/** @type {Record<string, string>} */
const LINES = {
  check: "M3 8.5l3.2 3.2L13 5",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7",
  cross: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  tool: "M9.8 6.2L4 12l-1-1 5.8-5.8a3 3 0 0 1 4-3.4L10.9 3.7l1.4 1.4 1.9-1.9a3 3 0 0 1-4.4 3z",
  file: "M4 2.5h5l3 3v8H4zM9 2.5v3h3",
  image: "M2.5 3.5h11v9h-11zM2.5 10.5l3-3 3 3 2-2 3 3M10 6.2h.01",
  sound: "M3 6.5v3M6 4.5v7M9 3v10M12 6v4",
  thought: "M8 2.5a4 4 0 0 0-2.4 7.2c.6.5.9 1 .9 1.8h3c0-.8.3-1.3.9-1.8A4 4 0 0 0 8 2.5zM6.8 13.5h2.4",
  question: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM6.2 6.2a1.8 1.8 0 1 1 2.6 1.7c-.5.3-.8.6-.8 1.3M8 11.3h.01",
  clock: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM8 4.8V8l2.2 1.6",
  wrong: "M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM8 4.8v4M8 11.3h.01",
  branch: "M4.5 3v10M4.5 9c0-2 7-1 7-4.5M4.5 3h.01M11.5 4h.01",
  play: "M5 3.5v9l7-4.5z",
  edit: "M3 13l.6-2.6 7-7 2 2-7 7zM9.4 4.6l2 2",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3L13.5 13.5",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${LINES[name]} /></svg>`;
}
