// A number in the navigation that stays up to date: what has data-count="/address" is asked for every 5 s while the tab
// is visible. It is on every page, so it has an address of its own, which costs next to nothing.

const SECONDS = 5;

/** Keep it, wherever the page has it. */
export function keepCount() {
  const counts = [...document.querySelectorAll("[data-count]")].filter((each) => each instanceof HTMLElement);
  const address = counts[0]?.getAttribute("data-count");
  if (!address) return;
  let last = Date.now();
  setInterval(async () => {
    if (document.visibilityState !== "visible" || Date.now() - last < SECONDS * 1000) return;
    last = Date.now();
    const waiting = await asked(address);
    if (waiting !== null) for (const each of counts) show(each, waiting);
  }, 1000);
}

/** The number, or null when it cannot be had. @param {string} address @returns {Promise<number | null>} */
async function asked(address) {
  try {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    const told = answer.ok && !answer.redirected ? await answer.json() : null;
    return typeof told?.waiting === "number" ? told.waiting : null;
  } catch {
    return null;
  }
}

/** @param {HTMLElement} element @param {number} waiting */
function show(element, waiting) {
  element.hidden = waiting === 0;
  element.textContent = String(waiting);
}
