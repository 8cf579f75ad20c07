// Elements with data-copy copy that text when they are clicked, and say so for a moment.

/** Make them work, also those that come later. */
export function keepCopying() {
  const show = () => document.querySelectorAll("button[data-copy][hidden]").forEach((each) => each.removeAttribute("hidden"));
  document.addEventListener("click", (event) => {
    const found = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
    if (found instanceof HTMLElement) copy(found);
  });
  document.addEventListener("deerflow:live", show);
  show();
}

/**
 * Put a text on the clipboard; false when the browser does not let us.
 * @param {string} text
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // plain http from another machine: there is no clipboard there
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const [field, before] = [document.createElement("textarea"), /** @type {HTMLElement | null} */ (document.activeElement)];
  field.value = text;
  field.readOnly = true;
  field.className = "unseen";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return isCopied;
}

/** @param {HTMLElement} element */
async function copy(element) {
  if (!(await copyText(element.dataset.copy ?? ""))) return;
  element.dataset.copied = "";
  setTimeout(() => delete element.dataset.copied, 1200);
}
