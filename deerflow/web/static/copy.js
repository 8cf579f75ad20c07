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

/** @param {HTMLElement} element */
async function copy(element) {
  await navigator.clipboard.writeText(element.dataset.copy ?? "");
  element.dataset.copied = "";
  setTimeout(() => delete element.dataset.copied, 1200);
}
