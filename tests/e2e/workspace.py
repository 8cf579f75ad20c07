"""The workspace as somebody uses it."""

from dataclasses import dataclass
from typing import Any

from tests.conftest import wait_for
from tests.e2e.page import Page

_LOOK = """
const text = (selector, within = document) => within.querySelector(selector)?.innerText ?? "";
const said = (row) => row.querySelector(".ws-body")?.textContent ?? ""; // also of rows out of sight
const line = (row) => [row.dataset.type, said(row).trim()];
const rows = [...document.querySelectorAll(".ws-row[data-type]")];
return {
  is_ready: document.querySelector(".ws")?.dataset.ready === "yes",
  phase: document.querySelector(".ws")?.dataset.phase ?? "",
  lines: rows.map(line), stopped: rows.filter((row) => row.dataset.unsaid).map((row) => row.dataset.unsaid),
  choices: rows.map((row) => text(".ws-choice", row).replace(/[^0-9/]/g, "")),
  status: document.getElementById("ws-status")?.dataset.status ?? "",
  notices: [...document.querySelectorAll(".ws-notice")].map((each) => each.dataset.notice),
  queue: [...document.querySelectorAll(".ws-queue li > span")].map((each) => each.innerText),
  draft: document.getElementById("ws-text")?.value ?? "",
};
"""
_GROWS = """
window.grown = [];
new MutationObserver(() => {
  const said = [...document.querySelectorAll(".ws-row[data-type=ai] .ws-body")].at(-1)?.innerText ?? "";
  if (said.length !== window.grown.at(-1)) window.grown.push(said.length);
}).observe(document.getElementById("workspace"), { subtree: true, childList: true, characterData: true });
"""


@dataclass(frozen=True)
class Seen:
    """What is on the screen."""

    is_ready: bool
    phase: str
    lines: list[list[str]]
    stopped: list[str]
    choices: list[str]
    status: str
    notices: list[str]
    queue: list[str]
    draft: str

    @property
    def answer(self) -> str:
        """The last line, when it is the agent's."""
        return self.lines[-1][1] if self.lines and self.lines[-1][0] == "ai" else ""

    @property
    def is_resting(self) -> bool:
        """Whether no run is under way, as far as the page knows."""
        return self.is_ready and self.phase == "resting"


class Workspace:
    """A tab with the workspace."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, place: str = "new?agent=talking") -> "Workspace":
        """Open a thread, or a new one."""
        self.page.open(f"/console/threads/{place}")
        self.until(lambda seen: seen.is_ready)
        return self

    def reload(self) -> None:
        """As F5 does, until the thread is there again."""
        self.page.reload()
        self.until(lambda seen: seen.is_ready)

    @property
    def thread_id(self) -> str:
        """The thread that is open, as the address has it."""
        return self.page.path.rpartition("/")[2].partition("?")[0]

    def look(self) -> Seen:
        """What is there now."""
        return Seen(**self.page.run(_LOOK))

    def until(self, condition: Any) -> Seen:
        """Wait until what is seen is as it should be."""
        last: list[Seen] = []

        def holds() -> bool:
            last[:] = [self.look()]
            return bool(condition(last[0]))

        try:
            wait_for(holds)
        except AssertionError as error:
            raise AssertionError(f"{last[0]}") from error
        return last[0]

    def until_resting(self, *lines: list[str]) -> Seen:
        """Wait until no run is under way, and the conversation is exactly this."""
        return self.until(lambda seen: seen.is_resting and seen.lines == list(lines))

    def write(self, text: str) -> None:
        """Type into the field."""
        self.page.find("#ws-text").send_keys(text)

    def say(self, text: str) -> None:
        """Type and press Enter."""
        self.write(text)
        self.page.keys("ENTER")

    def watch_growth(self) -> None:
        """Note from now on how long the newest answer is, each time that it changes on the screen."""
        self.page.run(_GROWS)

    @property
    def growth(self) -> list[int]:
        """What was noted."""
        return list(self.page.run("return window.grown"))


def counted(words: int) -> str:
    """What ``count`` answers."""
    return " ".join(f"w{i}" for i in range(words))
