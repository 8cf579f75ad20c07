"""A tab of the browser, as somebody uses it: they open pages, press what has a name, type, and look."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.conftest import wait_for

_NAMED = """
const [kinds, words, within] = arguments, seen = (each) => each.checkVisibility();
const name = (each) => (each.getAttribute("aria-label") ?? each.innerText ?? "").replace(/\\s+/g, " ").trim();
const all = [...document.querySelectorAll(within)].flatMap((each) => [...each.querySelectorAll(kinds)]).filter(seen);
return all.find((each) => name(each) === words) ?? all.find((each) => name(each).startsWith(words)) ?? null;
"""
_FIELD = """
const [words] = arguments, named = (text) => (text ?? "").replace(/\\s+/g, " ").trim() === words;
const all = [...document.querySelectorAll("input, textarea, select")].filter((each) => each.checkVisibility());
const fits = (each) => named(each.getAttribute("aria-label")) || named(each.placeholder) || each.name === words ||
  [...(each.labels ?? [])].some((label) => named(label.innerText));
return all.find(fits) ?? null;
"""


LIVE_SECONDS = 20.0
"""What is live looks at the server every 5 s; the rest is room for a busy machine."""
_MOVING = (StaleElementReferenceException, ElementClickInterceptedException, ElementNotInteractableException)
"""Nothing can be done with an element that is being drawn, moved or put in place of another just now."""


class Page:
    """One tab. What a method cannot find at once it waits for."""

    def __init__(self, driver: Chrome, origin: str) -> None:
        self.driver, self.origin = driver, origin

    def open(self, path: str = "/console/") -> "Page":
        """Go to a page of the server."""
        self.driver.get(self.origin + path)
        return self

    def reload(self) -> None:
        """As F5 does."""
        self.driver.refresh()

    @property
    def path(self) -> str:
        """Where it is now, with its query."""
        parts = urlsplit(self.driver.current_url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def run(self, script: str, *given: Any) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *given)

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Ask Chromium itself."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def has(self, selector: str) -> bool:
        """Whether there is such an element, and it can be seen."""
        script = "return [...document.querySelectorAll(arguments[0])].some((each) => each.checkVisibility())"
        return bool(self.run(script, selector))

    def text(self, selector: str = "body") -> str:
        """What can be read there; nothing when there is no such element."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """The same of all of them."""
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        return list(self.run(script, selector))

    def find(self, selector: str) -> WebElement:
        """The first element that fits."""
        return self._wait(lambda: self.driver.find_element("css selector", selector), selector)

    def named(self, words: str, kinds: str = "button, a, summary, [role=button]", within: str = "body") -> WebElement:
        """The button, link or summary that is called so, or else begins so."""
        return self._wait(lambda: self.run(_NAMED, kinds, words, within), words)

    def field(self, name: str) -> WebElement:
        """The field with this label, placeholder or name."""
        return self._wait(lambda: self.run(_FIELD, name), name)

    def press(self, words: str, within: str = "body") -> None:
        """Press what is called so."""
        self._do(lambda: self.named(words, within=within).click(), words)

    def click(self, selector: str) -> None:
        """Press the first element that fits."""
        self._do(lambda: self.find(selector).click(), selector)

    def type(self, name: str, text: str) -> None:
        """Fill the field with this label, placeholder or name."""

        def typed() -> None:
            field = self.field(name)
            field.clear()
            field.send_keys(text)

        self._do(typed, name)

    def keys(self, *keys: str) -> None:
        """Press keys where the focus is; names are selenium's: ``TAB``, ``ENTER``, ``ESCAPE``."""
        meant = [getattr(Keys, key, key) for key in keys]
        self._do(lambda: self.driver.switch_to.active_element.send_keys(*meant), " ".join(keys))

    def tab(self) -> None:
        """Press the tabulator, wherever the focus is."""
        key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
        self.cdp("Input.dispatchKeyEvent", type="rawKeyDown", **key)
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **key)

    def until(self, condition: Callable[[], object] | str, *, seconds: float = 60.0) -> Any:
        """Wait until this can be read, or is so; what it returned."""
        if isinstance(condition, str):
            words = condition
            return self._wait(lambda: words in self.text(), words, seconds)
        return self._wait(condition, "what is waited for", seconds)

    def be_offline(self, is_offline: bool) -> None:  # noqa: FBT001 - as Chromium takes it
        """Let requests go nowhere, or get through again; what is under way already goes on."""
        endless = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.cdp("Network.emulateNetworkConditions", offline=is_offline, **endless)

    @contextmanager
    def as_seen_on(self, width: int, height: int = 800, *, scheme: str = "light") -> Iterator[None]:
        """A screen of this size, of somebody who likes it light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        yield
        self.cdp("Emulation.clearDeviceMetricsOverride")
        self.cdp("Emulation.setEmulatedMedia", features=[])

    @contextmanager
    def without_script(self) -> Iterator[None]:
        """A browser that runs no script."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=True)
        yield
        self.cdp("Emulation.setScriptExecutionDisabled", value=False)

    def _wait(self, look: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        def found() -> Any:
            try:
                return look()
            except (NoSuchElementException, StaleElementReferenceException):
                return None

        try:
            return wait_for(found, seconds=seconds, what=what)
        except AssertionError as error:
            raise AssertionError(f"{what} is not on {self.path}\n{self.text('main')[:800]}") from error

    def _do(self, act: Callable[[], None], what: str) -> None:
        """Do it again when a list has been swapped in between, or something else is not in its place yet."""

        def done() -> bool:
            try:
                act()
            except _MOVING:
                return False
            return True

        self._wait(done, what)


def network(driver: Chrome) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What went over the network since the last look, of all tabs: kind of event, request, and what it tells."""
    for entry in driver.get_log("performance"):
        told = json.loads(entry["message"])
        kind, parameters = told["message"]["method"], told["message"]["params"]
        yield kind, f"{told['webview']} {parameters.get('requestId')}", parameters
