// The events of a run as they come: the list on its page goes on from the last one that the server has put there.
// The stream is the API's own. A tab that nobody sees holds no connection: it takes the stream up again when it is seen.

import { refresh } from "./live.js";

const RETRY_MS = 1500;
const PREVIEW = 160;
const BODY = 2000;

const list = document.getElementById("log");
// The server's clock says when the run began; ours only how long the page has been open.
const [began, rendered, arrived] = [Number(list?.dataset.began), Number(list?.dataset.now), Date.now()];
if (list instanceof HTMLOListElement && list.dataset.follow) void follow(list, list.dataset.follow);

/** Read until the run is over, however often the connection goes. @param {HTMLOListElement} list @param {string} url */
async function follow(list, url) {
  let last = Number(list.dataset.last);
  for (;;) {
    await seen();
    const leaving = new AbortController();
    const hide = () => document.visibilityState === "hidden" && leaving.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": String(last || "-1") };
      const answer = await fetch(url, { headers, signal: leaving.signal });
      if (answer.status === 404 || answer.status === 401 || answer.status === 403) return await refresh("run");
      if (answer.ok && answer.body) {
        for await (const event of frames(answer.body)) {
          last = Number(event.id) || last;
          add(list, event);
        }
        return await refresh("run");
      }
    } catch {
      // The connection went, or we left: the list goes on from the last event.
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Wait until somebody looks at the page. @returns {Promise<void>} */
function seen() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

/**
 * The frames of a stream that have an id. Throws when it was cut: an end that is none.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{id: string, name: string, data: string}>}
 */
async function* frames(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const parts = text.split("\r\n\r\n");
    text = parts.pop() ?? "";
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\r\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
      if (fields.id) yield { id: fields.id, name: fields.event ?? "", data: fields.data ?? "" };
    }
  }
}

/** Put an event at the end; of very many only the newest stay. @param {HTMLOListElement} list @param {{id: string, name: string, data: string}} event */
function add(list, event) {
  const template = document.getElementById("event");
  if (!(template instanceof HTMLTemplateElement)) return;
  const row = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const put = (/** @type {string} */ selector, /** @type {string} */ text) => {
    const found = row.querySelector(selector);
    if (found) found.textContent = text;
  };
  put(".place", event.id);
  put(".after", `+${((Date.now() - arrived + rendered - began) / 1000).toFixed(1)} s`);
  put(".name", event.name);
  put(".preview", event.data.slice(0, PREVIEW));
  const isCut = event.data.length > BODY;
  put("pre", isCut ? `${event.data.slice(0, BODY)}…` : pretty(event.data));
  const more = row.querySelector("p");
  const link = row.querySelector("a");
  if (more && link && isCut) {
    more.hidden = false;
    link.href = `${list.dataset.events}?after=${Number(event.id) - 1}&limit=1`;
  }
  const item = row.querySelector("li");
  if (item) item.dataset.place = event.id;
  list.append(row);
  document.getElementById("no-events")?.setAttribute("hidden", "");
  if (list.childElementCount > Number(list.dataset.most)) drop(list);
}

/** Take the oldest away; the link to older ones begins there. @param {HTMLOListElement} list */
function drop(list) {
  list.firstElementChild?.remove();
  const first = list.firstElementChild;
  const older = document.getElementById("older");
  if (!(older instanceof HTMLAnchorElement) || !(first instanceof HTMLElement)) return;
  older.hidden = false;
  older.href = older.href.replace(/before=\d+/, `before=${first.dataset.place}`);
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
