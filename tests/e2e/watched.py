"""What no page may do, whatever it is tested for: break its policy, ask another host, or fail on the console."""

import re
from typing import Self

from selenium.webdriver import Chrome

from tests.e2e.page import network

_TOLD = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
_INSIDE = re.compile(r"(data|blob|about|chrome|chrome-error|devtools):")


class Watched:
    """The browser until the end of a block; whatever a page did wrong there fails it.

    It begins at a tab of its own, the only one: what a test before has told a tab (to be offline, to run no script)
    and could not take back because it failed went with that tab.
    """

    def __init__(self, driver: Chrome, origin: str) -> None:
        self._driver, self._origins = driver, [origin]
        self._allowed: list[str] = []
        self._asked: list[str] = []
        self._open: dict[str, str] = {}

    def allow(self, *patterns: str) -> None:
        """The test itself makes the console say these."""
        self._allowed += patterns

    def also(self, origin: str) -> None:
        """The test's own way to the server, at another port."""
        self._origins.append(origin)

    def visit(self, origin: str) -> None:
        """The test goes to another server of its own, too."""
        self._origins.append(origin)

    def new_tab(self) -> str:
        """One more tab, which the browser is at from now on; its handle."""
        self._driver.switch_to.new_window("tab")
        self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _TOLD})
        return str(self._driver.current_window_handle)

    def wrong(self) -> list[str]:
        """What went wrong since the last look."""
        said = [entry["message"] for entry in self._driver.get_log("browser") if entry["level"] == "SEVERE"]
        bad = [line for line in said if not any(re.search(pattern, line) for pattern in self._allowed)]
        self._look()
        return bad + [f"asked {url}" for url in self._asked if not self._is_own(url)]

    def unanswered(self) -> list[str]:
        """The URLs of which the answer has not come to its end."""
        self._look()
        return list(self._open.values())

    def _look(self) -> None:
        for kind, request, told in network(self._driver):
            if kind == "Network.requestWillBeSent":
                self._asked.append(told["request"]["url"])
                self._open[request] = told["request"]["url"]
            elif kind in {"Network.loadingFinished", "Network.loadingFailed"}:
                self._open.pop(request, None)

    def _is_own(self, url: str) -> bool:
        return any(url.startswith(f"{each}/") for each in self._origins) or _INSIDE.match(url) is not None

    def __enter__(self) -> Self:
        of_before = self._driver.window_handles
        own = self.new_tab()
        for tab in of_before:
            self._driver.switch_to.window(tab)
            self._driver.close()
        self._driver.switch_to.window(own)
        self.wrong()  # of others, before
        self._asked, self._open = [], {}
        return self

    def __exit__(self, *_failed: object) -> None:
        wrong = self.wrong()
        assert wrong == [], wrong
