// Menus are <details data-menu>: a click elsewhere or Esc closes them; Esc gives the focus back. What opens to ask for
// a text is ready to be written in.

/** Make them close. */
export function keepMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
  });
  document.addEventListener("toggle", onToggle, true); // it does not bubble
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

/** @param {Event} event */
function onToggle({ target }) {
  const field = target instanceof HTMLDetailsElement && target.open && target.querySelector(":scope > form > input:not([type])");
  if (!(field instanceof HTMLInputElement)) return;
  field.focus();
  field.select();
}

/** @returns {NodeListOf<HTMLDetailsElement>} */
function open() {
  return document.querySelectorAll("details[data-menu][open]");
}
