"""What holds for each page of the console, whatever it is about."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Map, UnicodeConverter

from deerflow import web
from tests.databases import Databases
from tests.e2e import axe, keyboard
from tests.e2e.before import before
from tests.e2e.cast import Ada, make_ada
from tests.e2e.conftest import give
from tests.e2e.english import english
from tests.e2e.page import Page
from tests.e2e.screens import NOT_SCREENS, SCREENS, Screen
from tests.e2e.watched import Watched
from tests.live import Live

SHOTS = os.environ.get("DEERFLOW_SCREENSHOTS")
"""Where screenshots of every page go, for a person to look at; none are taken without it."""
SIZES = {"wide": (1280, 800), "phone": (390, 844)}
LANGUAGES = ("en-US", "zh-CN")
ONLY_WITH_SCRIPT = {"INPUT Select all on this page"}
"""What saves clicks, and is not needed."""


@pytest.fixture(scope="session")
def ada(live: Live) -> Ada:
    """Somebody with a little of everything."""
    return make_ada(live)


@pytest.fixture(scope="session")
def sites(
    databases: Databases, valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[str, str]]]:
    """Servers where nobody has signed in: one that is new, one that is open to all; origin and token of each."""
    new, opened = (tmp_path_factory.mktemp(name) for name in ("new", "open"))
    with (
        before(databases, valkey, new, is_set_up=False) as one,
        before(databases, valkey, opened, is_set_up=True) as two,
    ):
        yield {"new": one, "open": two}


@pytest.fixture
def visitor(stranger: Page, ada: Ada, name: str, watching: Watched, request: pytest.FixtureRequest) -> Page:
    """Ada on the shared server; somebody unknown on the others."""
    watching.allow("/console/runs/0{8}.*404", "/console/password.*40[0-9]")
    if (site := SCREENS[name].site) == "shared":
        give(stranger, ada.cookies)
    else:
        stranger.origin, ada.ids["token"] = request.getfixturevalue("sites")[site]
        watching.visit(stranger.origin)
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
    app.url_map.converters["id"] = _AnyId
    web.register(app)
    rules = (rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/console"))
    there = {rule.endpoint.removeprefix("console.") for rule in rules if "GET" in (rule.methods or set())}
    walked = {screen.endpoint for screen in SCREENS.values()} - {"404"}
    assert there - walked - set(NOT_SCREENS) == set(), "these pages are not walked"
    assert (walked | set(NOT_SCREENS)) - there == set(), "there are no such pages"


@axe.NEEDED
@pytest.mark.parametrize("name", SCREENS)
def test_a_page_is_for_everybody(visitor: Page, ada: Ada, name: str, record_property: Any) -> None:
    """Both languages, light and dark, wide and on a phone, by eye, ear and keyboard, and without a script."""
    page, screen = visitor, SCREENS[name]
    opened(page, screen, ada)
    with_script = pressable(page)
    wrong = [*looks(page, name, "en-US"), *for_eye_and_ear(page, record_property), *by_keyboard(page)]
    opened(page, screen, ada, "zh-CN")
    wrong += [f"English: {text}" for text in english(page, ada.said)]
    wrong += looks(page, name, "zh-CN")
    wrong += without_script(page, screen, ada, with_script)
    assert wrong == [], "\n".join(wrong)


def looks(page: Page, name: str, language: str) -> Iterator[str]:
    """What is wrong with its layout; each look is photographed when that is asked for."""
    if (told := page.run("return document.documentElement.lang")) != language:
        yield f"says that it is {told}"
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            with page.as_seen_on(width, height, scheme=scheme):
                if SHOTS:
                    page.driver.save_screenshot(str(Path(SHOTS) / f"{name}-{language}-{scheme}-{size}.png"))
                if scheme == "light" and (wide := page.run(_STICKS_OUT)):
                    yield f"{size}: wider than the screen: {wide}"


_STICKS_OUT = """
const { scrollWidth, clientWidth } = document.scrollingElement;
const sticks = (each) => each.getBoundingClientRect().right > clientWidth + 1;
return scrollWidth <= clientWidth ? null :
  [...document.querySelectorAll("body *")].filter(sticks).slice(0, 5).map((each) => each.outerHTML.slice(0, 120));
"""


def for_eye_and_ear(page: Page, record_property: Any) -> Iterator[str]:
    """What axe finds that is serious: as it is, on a phone, and the colours of the dark."""
    found = axe.findings(page)
    with page.as_seen_on(*SIZES["phone"]):
        found += axe.findings(page, "scrollable-region-focusable", "target-size", "button-name", "link-name")
    with page.as_seen_on(*SIZES["wide"], scheme="dark"):
        found += axe.findings(page, "color-contrast")
    record_property(axe.FOUND, len(found))
    yield from (f"axe: {each}" for each in found if each["impact"] in axe.SERIOUS)


def by_keyboard(page: Page) -> Iterator[str]:
    """What cannot be reached, or not be seen when it has been; first comes the way to the content."""
    begins_elsewhere = page.run("return document.activeElement !== document.body")
    reached, unseen, missed = keyboard.walk(page)
    if reached[0] != "#main" and not (begins_elsewhere and "#main" in reached):
        yield f"begins with {reached[0]}"
    yield from (f"no ring around {each}" for each in unseen)
    yield from (f"not reached: {each}" for each in missed)


def without_script(page: Page, screen: Screen, ada: Ada, with_script: set[str]) -> Iterator[str]:
    """What is missing then; of the workspace all but the messages may, and it has to say so."""
    page.cdp("Network.setCookie", name="deerflow_language", value="en-US", url=page.origin)
    with page.without_script():
        page.open(screen.address(ada))
        if screen.is_island:
            if "has to run this site's script" not in page.text("main"):
                yield "does not say what it needs"
        else:
            yield from (f"not without script: {each}" for each in with_script - pressable(page) - ONLY_WITH_SCRIPT)


def pressable(page: Page) -> set[str]:
    """What can be pressed or filled in, by what it is called; but for what only a script can do."""
    script = """
    const all = [...document.querySelectorAll("a[href], button:not([data-copy]), input, select, textarea, summary")];
    const words = (each) => [...each.childNodes].map((node) =>
      node.nodeName === "TIME" ? "" : node.childNodes.length ? words(node) : node.textContent).join(" ");
    const name = (each) => each.getAttribute("aria-label") || words(each).replace(/\\s+/g, " ") || each.name || "";
    return all.filter((each) => each.checkVisibility()).map((each) => each.tagName + " " + name(each).trim());
    """
    return set(page.run(script))


class _AnyId(UnicodeConverter):
    def __init__(self, url_map: Map, *_kind: str) -> None:
        super().__init__(url_map)
