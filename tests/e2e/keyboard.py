"""A walk over a page with the tabulator: what is reached, and whether one sees where one is."""

from tests.e2e.page import Page

_NOTE = """
const reached = new Set(), unseen = new Set();
const all = "a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary, [tabindex='0']";
const can = (each) =>
  each.checkVisibility({ visibilityProperty: true }) && each.tabIndex >= 0 && each.type !== "hidden";
const ringed = ({ outlineStyle, outlineWidth, boxShadow }) =>
  (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
document.addEventListener("focusin", ({ target }) => {
  reached.add(target);
  const around = [target, target.parentElement, target.closest("form")].filter((each) => each);
  if (!around.some((each) => ringed(getComputedStyle(each)))) unseen.add(target);
});
// Of radio buttons with one name the keyboard stops at one.
const isRadioOfOne = (each) =>
  each.type === "radio" && [...document.getElementsByName(each.name)].some((other) => reached.has(other));
const name = (each) => each.getAttribute("href") ?? each.outerHTML.slice(0, 160);
window.pressable = () => [...document.querySelectorAll(all)].filter(can);
window.noted = () => {
  const names = new Set([...reached].map(name)); // what a list that is up to date has put in place of another
  const missed = window.pressable().filter((each) => !names.has(name(each)) && !isRadioOfOne(each));
  return [[...reached], [...unseen], missed].map((some) => some.map(name));
};
"""


def walk(page: Page) -> tuple[list[str], list[str], list[str]]:
    """What was reached, in its order; where the focus cannot be seen; and what was not reached."""
    page.run(_NOTE)
    stops = int(page.run("document.activeElement.blur(); return window.pressable().length")) + 5
    for _ in range(3):  # what scrolls is a stop as well, and what is live may come anew
        for _ in range(stops):
            page.tab()
        reached, unseen, missed = page.run("return window.noted()")
        if not missed:
            break
    return reached, unseen, missed
