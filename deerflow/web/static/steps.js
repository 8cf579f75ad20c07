// The nodes of a run of which only its checkpoints tell: fetched when the page is there, so that it waits for nobody.

import { refresh } from "./live.js";

/** Fetch them where there is a way to them: at once, or when a run has ended while somebody looked. */
function fetchSteps() {
  const way = document.querySelector("#steps a[data-fetch]");
  if (way instanceof HTMLAnchorElement) void refresh("steps", way.href);
}

document.addEventListener("deerflow:live", fetchSteps);
fetchSteps();
