"""The page with one of the hooks, as Chromium shows it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome

from tests.conformance.site import PREFIX
from tests.conftest import wait_for

_LOOK = """
const text = (id) => document.getElementById(id)?.textContent ?? "";
const line = (each) => [each.dataset.type, each.querySelector("span").textContent];
return {
  lines: [...document.querySelectorAll("li")].map(line),
  ids: [...document.querySelectorAll("li")].map((each) => each.dataset.id),
  state: text("state"), error: text("error"), question: text("question"), run: text("run"), past: Number(text("past")),
  thread: new URLSearchParams(location.search).get("thread"),
  steps: Math.max(0, ...Object.values(window.grown ?? {}).map((lengths) => lengths.length)),
};
"""


@dataclass(frozen=True)
class Seen:
    """What a person sees, and the address."""

    lines: list[list[str]]
    ids: list[str]
    state: str
    error: str
    question: str
    run: str
    past: int
    thread: str | None
    steps: int
    """How often the longest answer has changed on the screen."""

    @property
    def answer(self) -> str:
        """The last line, when it is the agent's."""
        return self.lines[-1][1] if self.lines and self.lines[-1][0] == "ai" else ""

    @property
    def words(self) -> int:
        """How long the answer is."""
        return len(self.answer.split())


class Chat:
    """The page: ``js/page.jsx`` with one of the hooks."""

    def __init__(self, driver: Chrome, origin: str, **asked: str) -> None:
        self.driver = driver
        self._page, self._asked = f"{origin}{PREFIX}page.html", asked
        self.hook = asked["hook"]
        self.has_branches = self.hook.startswith("classic")

    def open(self, **asked: str) -> None:
        """Open it, with *thread* on one that is there."""
        self.driver.get(f"{self._page}?{urlencode({**self._asked, **asked})}")
        self.until(lambda seen: seen.state != "")

    def reload(self) -> None:
        """As F5 does."""
        self.driver.refresh()

    def look(self) -> Seen:
        """What is on the screen now."""
        return Seen(**self.driver.execute_script(_LOOK))

    def until(self, condition: Callable[[Seen], object]) -> Seen:
        """Wait until what is seen is as it should be."""
        last: list[Seen] = []

        def holds() -> object:
            last[:] = [self.look()]
            return condition(last[0])

        try:
            wait_for(holds)
        except AssertionError as error:
            raise AssertionError(f"{last[0]}\n{self.calls()}") from error
        return last[0]

    def until_idle(self, *lines: list[str]) -> Seen:
        """Wait until no run is under way, and the conversation is exactly this."""
        return self.until(lambda seen: seen.state == "idle" and seen.lines == list(lines))

    def type(self, text: str) -> None:
        """Fill the field."""
        field = self.driver.find_element("id", "text")
        field.clear()
        field.send_keys(text)

    def say(self, text: str) -> None:
        """Type and send."""
        self.type(text)
        self.press("#send")

    def press(self, selector: str) -> None:
        """Click the first that fits, as soon as there is one; the page may be drawing it anew just now."""

        def pressed() -> bool:
            try:
                self.driver.find_element("css selector", selector).click()
            except (NoSuchElementException, StaleElementReferenceException):
                return False
            return True

        wait_for(pressed, what=selector)

    def calls(self) -> list[tuple[str, str, int]]:
        """The HTTP calls of the page, also of before a reload."""
        told: Any = self.driver.execute_script('return sessionStorage.getItem("calls")')
        return [(method, path, status) for method, path, status in json.loads(told or "[]")]
