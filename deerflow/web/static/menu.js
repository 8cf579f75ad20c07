// Menus are <details data-menu>: a click elsewhere or Esc closes them; Esc gives the focus back.

/** Make them close. */
export function keepMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
  });
}

/** @returns {NodeListOf<HTMLDetailsElement>} */
function open() {
  return document.querySelectorAll("details[data-menu][open]");
}
