// What somebody has typed and not sent: kept in this browser, for each user and thread.

/** @param {string} user @param {string | null} threadId */
const placeOf = (user, threadId) => `deerflow:draft:${user}:${threadId ?? "new"}`;

/**
 * @param {Storage} storage
 * @param {string} user
 * @param {string | null} threadId
 */
export function readDraft(storage, user, threadId) {
  try {
    return storage.getItem(placeOf(user, threadId)) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {Storage} storage
 * @param {string} user
 * @param {string | null} threadId
 * @param {string} text nothing: forget it
 */
export function keepDraft(storage, user, threadId, text) {
  try {
    if (text) storage.setItem(placeOf(user, threadId), text);
    else storage.removeItem(placeOf(user, threadId));
  } catch {
    // Storage is full or switched off: the draft lasts as long as the page.
  }
}
