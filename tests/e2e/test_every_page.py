"""What holds for each page of the console, whatever it is about (console.md, S3 and Across)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from deerflow import web
from tests.e2e import axe, keyboard
from tests.e2e.cast import Ada, make_ada
from tests.e2e.conftest import give
from tests.e2e.english import english
from tests.e2e.page import Page
from tests.e2e.screens import NOT_SCREENS, SCREENS, Screen
from tests.e2e.watched import Watched
from tests.live import Live

SIZES = {"wide": (1280, 800), "phone": (390, 844)}
LANGUAGES = ("en-US", "zh-CN")
each_screen = pytest.mark.parametrize("name", SCREENS)


@pytest.fixture(scope="session")
def ada(live: Live) -> Ada:
    """Somebody with a little of everything."""
    return make_ada(live)


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, for a person to look at."""
    folder = Path(os.environ.get("DEERFLOW_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visitor(stranger: Page, ada: Ada, name: str, watching: Watched) -> Iterator[Page]:
    """Ada, or for pages before one is signed in somebody whom the server does not know."""
    watching.allow("/console/runs/0{8}.*404", "/console/password.*40[0-9]")
    if not SCREENS[name].is_open:
        give(stranger, ada.cookies)
    return stranger


def opened(page: Page, screen: Screen, ada: Ada, language: str = "en-US") -> Page:
    """The page in a language, with all that its script makes of it."""
    page.cdp("Network.setCookie", name="deerflow_language", value=language, url=page.origin)
    page.open(screen.address(ada))
    page.until(lambda: page.has(screen.shows) and (not screen.is_island or page.has("#workspace textarea")))
    return page


def test_every_page_is_walked() -> None:
    """And what is walked is there."""
    app = Flask("pages")
    app.config["DEERFLOW_AUTH"] = "accounts"
    app.url_map.converters["id"] = type("Ids", (app.url_map.converters["string"],), {"__init__": _any_id})
    web.register(app)
    rules = (rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/console"))
    there = {rule.endpoint.removeprefix("console.") for rule in rules if "GET" in (rule.methods or set())}
    walked = {screen.endpoint for screen in SCREENS.values()} - {"404"}
    assert there - walked - set(NOT_SCREENS) == set(), "these pages are not walked"
    assert (walked | set(NOT_SCREENS)) - there == set(), "there are no such pages"


@each_screen
def test_both_languages_all_colours_and_sizes(visitor: Page, ada: Ada, shots: Path, name: str) -> None:
    """No English is left in Chinese, nothing has to be scrolled sideways on a phone; each look is photographed."""
    for language in LANGUAGES:
        page = opened(visitor, SCREENS[name], ada, language)
        assert page.run("return document.documentElement.lang") == language
        if language == "zh-CN":
            assert english(page, ada.said) == []
        for scheme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                with page.as_seen_on(width, height, scheme=scheme):
                    page.driver.save_screenshot(str(shots / f"{name}-{language}-{scheme}-{size}.png"))
                    assert sideways(page) <= 0, f"{size}: {wide_ones(page)}"


def sideways(page: Page) -> int:
    """By how much the page is wider than the screen."""
    return int(page.run("const at = document.scrollingElement; return at.scrollWidth - at.clientWidth"))


def wide_ones(page: Page) -> list[str]:
    """What sticks out."""
    script = """
    const wide = (each) => each.getBoundingClientRect().right > document.scrollingElement.clientWidth + 1;
    return [...document.querySelectorAll("body *")].filter(wide).map((each) => each.outerHTML.slice(0, 120));
    """
    return list(page.run(script))[:5]


@axe.NEEDED
@each_screen
def test_axe_has_nothing_serious(visitor: Page, ada: Ada, name: str, record_property: Any) -> None:
    """Wide and light, on a phone, and the colours of the dark once more."""
    page = opened(visitor, SCREENS[name], ada)
    found = axe.findings(page)
    with page.as_seen_on(*SIZES["phone"]):
        found += axe.findings(page)
    with page.as_seen_on(*SIZES["wide"], scheme="dark"):
        found += axe.findings(page, "color-contrast")
    record_property(axe.FOUND, len(found))
    assert [each for each in found if each["impact"] in axe.SERIOUS] == []


@each_screen
def test_all_by_keyboard(visitor: Page, ada: Ada, name: str) -> None:
    """First comes the way to the content; whatever can be pressed is reached, and one sees where one is."""
    page = opened(visitor, SCREENS[name], ada)
    begins_elsewhere = page.run("return document.activeElement !== document.body")
    reached, unseen, missed = keyboard.walk(page)
    assert "#main" in reached if begins_elsewhere else reached[0] == "#main"
    assert unseen == []
    assert missed == []


@each_screen
def test_without_a_script(visitor: Page, ada: Ada, name: str) -> None:
    """What there is with a script is there without one, but for the workspace, which says what it needs."""
    screen = SCREENS[name]
    with_script = set() if screen.is_island else pressable(opened(visitor, screen, ada))
    with visitor.without_script():
        visitor.open(screen.address(ada))
        assert visitor.text("h1")
        assert with_script - pressable(visitor) == set()
        if screen.is_island:
            assert "has to run this site's script" in visitor.text("main")


def pressable(page: Page) -> set[str]:
    """What can be pressed or filled in, by what it is called; but for what only a script can do."""
    script = """
    const all = [...document.querySelectorAll("a[href], button:not([data-copy]), input, select, textarea, summary")];
    const name = (each) => each.getAttribute("aria-label") || each.innerText || each.name || "";
    return all.filter((each) => each.checkVisibility()).map((each) => each.tagName + " " + name(each).trim());
    """
    return set(page.run(script))


def _any_id(self: object, url_map: object, *_kind: object) -> None:
    super(type(self), self).__init__(url_map)  # type: ignore[call-arg]
