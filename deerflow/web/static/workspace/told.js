// What the server has said to a request, for people.

import { t } from "./strings.js";

/**
 * A sentence about what went wrong; null when the page says so in another place.
 * @param {any} error
 * @returns {string | null}
 */
export function saidOf(error) {
  if (error?.status === 401) return null;
  if (error?.name === "ConnectionError" || error instanceof TypeError) return t("The server could not be reached. What you have written is kept.");
  const told = /\{.*\}$/s.exec(error?.message ?? "");
  try {
    return told ? String(JSON.parse(told[0]).detail) : (error?.message ?? t("That did not go through."));
  } catch {
    return error?.message ?? t("That did not go through.");
  }
}
