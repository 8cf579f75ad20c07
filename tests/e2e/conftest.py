"""Somebody at a browser: the shared live server on SQLite, with accounts, and one Chromium."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.browser import browser as http_browser
from tests.browser import sign_in
from tests.chromium import NEEDED
from tests.conftest import BROWSED
from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.live import ADMIN, Live


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Chromium these are skipped, and it is said for want of what."""
    for item in items:
        if item.nodeid.startswith(BROWSED):
            item.add_marker(NEEDED)


@pytest.fixture(scope="session", params=["sqlite"])
def live(live: Live) -> Live:
    """The live server of all tests on SQLite."""
    return live


@pytest.fixture(scope="session")
def cookies(live: Live) -> dict[str, str]:
    """What a browser keeps of somebody who has signed in as the administrator."""
    with http_browser(live.url) as opened:
        assert sign_in(opened, *ADMIN).is_success
        return dict(opened.cookies)


@pytest.fixture
def watching(browser: Chrome, live: Live) -> Iterator[Watched]:
    """What its pages do wrong fails every test here, but for what it allows."""
    with Watched(browser, live.url) as watching:
        yield watching


@pytest.fixture
def stranger(browser: Chrome, live: Live, watching: Watched) -> Iterator[Page]:  # noqa: ARG001 - it watches
    """A tab of a browser that has never been here."""
    yield Page(browser, live.url)
    for tab in reversed(
        browser.window_handles
    ):  # none may ask for something once nobody is signed in; ends at the first
        browser.switch_to.window(tab)
        browser.get("about:blank")
    forget(browser, live.url)


@pytest.fixture
def page(stranger: Page, cookies: dict[str, str]) -> Page:
    """A tab of the administrator, signed in; nothing is open yet."""
    give(stranger, cookies)
    return stranger


def give(page: Page, cookies: dict[str, str]) -> None:
    """Let a browser have these cookies."""
    page.cdp("Network.enable")
    for name, value in cookies.items():
        page.cdp("Network.setCookie", name=name, value=value, url=page.origin)


def forget(driver: Chrome, origin: str) -> None:
    """Leave nothing of a visit for the next test."""
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
