// A box with data-all="thread" ticks all boxes of that name, and shows whether all or some are ticked.

/** Make them work, also those that come later. */
export function keepAll() {
  document.addEventListener("change", (event) => {
    const box = event.target instanceof HTMLInputElement ? event.target : null;
    if (box?.dataset.all) for (const each of named(box.dataset.all)) each.checked = box.checked;
    show();
  });
  document.addEventListener("deerflow:live", show);
  show();
}

function show() {
  for (const box of document.querySelectorAll("input[data-all]")) {
    if (!(box instanceof HTMLInputElement)) continue;
    const boxes = named(box.dataset.all ?? "");
    const ticked = boxes.filter((each) => each.checked).length;
    box.hidden = boxes.length === 0;
    box.checked = ticked > 0 && ticked === boxes.length;
    box.indeterminate = ticked > 0 && ticked < boxes.length;
  }
}

/** @param {string} name @returns {HTMLInputElement[]} */
function named(name) {
  return [...document.querySelectorAll("input[type=checkbox]")].filter(
    /** @returns {each is HTMLInputElement} */ (each) => each instanceof HTMLInputElement && each.name === name,
  );
}
