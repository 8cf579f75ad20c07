"""Time zones to choose from, by continent."""

from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from flask_babel import gettext
from wtforms.fields import SelectChoice

_CONTINENTS = {
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
}  # fmt: skip


def choices(chosen: str | None) -> list[SelectChoice]:
    """What a field offers: what the browser says, UTC, what is chosen, and the places of each continent."""
    others = list(_places())
    known = {"", "UTC", *(place.value for place in others)}
    first = {"": gettext("As the browser has it"), "UTC": "UTC", **({chosen: chosen} if chosen not in known else {})}
    return [
        *(SelectChoice(name, text, optgroup=gettext("General")) for name, text in first.items() if name is not None),
        *others,
    ]


@cache
def _names() -> list[str]:
    return sorted(available_timezones())


def _places() -> Iterator[SelectChoice]:
    for name in _names():
        continent, _, place = name.partition("/")
        if place and continent in _CONTINENTS:
            yield SelectChoice(name, place.replace("_", " ").replace("/", " / "), optgroup=continent)
