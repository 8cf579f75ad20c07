"""Which browser a session is of, in words: from the ``User-Agent`` that it came with."""

import re

from flask_babel import gettext

_BROWSERS = (  # the first that fits: each of them also says that it is one further down
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("WeChat", r"MicroMessenger/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|HeadlessChrome/|CriOS/|Chromium/"),
    ("Safari", r"Version/\S+ .*Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("ChromeOS", r"CrOS"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X|Macintosh"),
    ("Linux", r"Linux|X11"),
)
_PROGRAM = re.compile(r"([A-Za-z][\w.-]{0,39})/[\w.]+")


def in_words(agent: str) -> str:
    """``Chrome on Linux``; of what is no browser its own name."""
    browser, system = _first(_BROWSERS, agent), _first(_SYSTEMS, agent)
    if browser and system:
        return str(gettext("%(browser)s on %(system)s", browser=browser, system=system))
    program = _PROGRAM.match(agent)
    named = browser or (program[1] if program and program[1] != "Mozilla" else None)
    return named or str(gettext("Unknown browser"))


def _first(kinds: tuple[tuple[str, str], ...], agent: str) -> str | None:
    return next((name for name, pattern in kinds if re.search(pattern, agent)), None)
