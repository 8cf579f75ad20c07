"""The harness itself: what a page must not do does fail its test."""

import pytest
from selenium.webdriver import Chrome

from tests.e2e.page import Page
from tests.e2e.watched import Watched

STYLED = "<b style='color: red'>x</b>"
FOREIGN = "http://127.0.0.2:9/x.png"
WRONG = {
    "an inline style": (f'document.body.insertAdjacentHTML("beforeend", "{STYLED}")', "policy: style-src-attr"),
    "an inline script": (
        "document.head.append(Object.assign(document.createElement('script'), {text: '1'}))",
        "policy: script-src",
    ),
    "a foreign image": (f"document.body.append(Object.assign(new Image(), {{src: '{FOREIGN}'}}))", "policy: img-src"),
    "a foreign call": (f"fetch('{FOREIGN}').catch(() => 0)", "policy: connect-src"),
    "a link away": (f"location.href = '{FOREIGN}'", f"asked {FOREIGN}"),
    "a missing file": ("return fetch('/console/nowhere').then(() => 0)", "404"),
    "an error": ("setTimeout(() => { throw new Error('boom') })", "boom"),
    "a rejection": ("Promise.reject(new Error('boom'))", "in promise. Error: boom"),
    "a word on the console": ("console.error('boom')", "boom"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_page_does_wrong_fails_its_test(stranger: Page, browser: Chrome, what: str) -> None:
    script, told = WRONG[what]
    with pytest.raises(AssertionError, match=told), Watched(browser, stranger.origin):  # noqa: PT012 - its end raises
        stranger.open("/console/login").run(script)
        stranger.driver.get("about:blank")


def test_what_a_test_allows_is_no_failure(stranger: Page, browser: Chrome) -> None:
    with Watched(browser, stranger.origin) as watching:
        watching.allow("boom")
        stranger.open("/console/login").run("console.error('boom')")


def test_another_tab_is_seen(stranger: Page, browser: Chrome) -> None:
    """And what a tab of before says still counts."""
    with pytest.raises(AssertionError, match=r"first(.|\n)*second"), Watched(browser, stranger.origin) as watching:  # noqa: PT012
        stranger.open("/console/login").run("console.error('first')")
        watching.new_tab()
        stranger.open("/console/login").run("Promise.reject(new Error('second'))")


def test_what_a_failed_test_did_to_its_tabs_is_gone_for_the_next(stranger: Page, browser: Chrome) -> None:
    """Else one failure would be that of all that follow, each after a minute of waiting."""
    with pytest.raises(KeyError), Watched(browser, stranger.origin) as watching:  # noqa: PT012
        stranger.cdp("Emulation.setScriptExecutionDisabled", value=True)
        watching.new_tab()
        stranger.be_offline(True)
        raise KeyError
    with Watched(browser, stranger.origin):
        stranger.open("/console/login").run("setTimeout(() => { window.hasRun = true })")
        stranger.until(lambda: stranger.run("return window.hasRun"))
        assert len(browser.window_handles) == 1


def test_who_is_signed_in_sees_the_pages(page: Page) -> None:
    """And is not led to where one signs in."""
    assert "login" not in page.open("/console/").path
    assert page.has("[data-menu] summary")
