"""Values as people read them: JSON in one line or laid out, and of what is very long the beginning."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

_LINE = 300
_SHORT = 60
MOST_OF_A_VALUE = 20_000
"""Characters. What is longer stands whole where one is led to."""
_BEGINNING = 4_000
"""So much of it, where more stands below that the reader is there for."""
_MOST_OF_A_PAGE = 200_000


@dataclass(frozen=True)
class Text:
    """A text as a page shows it; ``is_cut``: there is more."""

    text: str
    is_cut: bool


def shortened(text: str, most: int = MOST_OF_A_VALUE) -> Text:
    """A text, its beginning if it is long."""
    return Text(text[:most], is_cut=len(text) > most)


class Sheet:
    """What one page has place for: of many long texts the later ones are cut more."""

    def __init__(self) -> None:
        self._left = _MOST_OF_A_PAGE

    def text(self, text: str) -> Text:
        """A text, if it is not long and there is place for it; else its beginning."""
        most = MOST_OF_A_VALUE if len(text) <= MOST_OF_A_VALUE else _BEGINNING
        shown = shortened(text, min(most, self._left))
        self._left -= len(shown.text)
        return shown

    def has_place_for(self, text: str) -> bool:
        """Whether all of a text goes on the page; what does takes its place."""
        if len(text) > self._left:
            return False
        self._left -= len(text)
        return True


def compact(value: Any) -> str:
    """A value in one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def laid_out(value: Any) -> str:
    """A value over all its lines, keys in order: so that two can be compared."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()


def pretty(value: Any) -> str:
    """A value over as many lines as it needs; a short one in one line."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _SHORT else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
