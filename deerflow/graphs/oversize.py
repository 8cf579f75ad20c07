"""Events that are too large for a log: their longest texts are left out, and the event says so.

Only what streams is cut. The thread's state, and what wait and join answer, stay whole.
"""

from collections.abc import Iterator
from typing import Any

import orjson

_WORTH_BYTES = 256
"""A text shorter than this is about as long as the note that would stand for it."""
_SHOWN_CHARACTERS = 32
"""Enough of a text to recognise it by: of a ``data:`` URL its media type."""


def fit(data: bytes, most: int, *, within: str | None = None) -> bytes:
    """The JSON of one event in at most about *most* bytes.

    Its shape stays: of what is too large the longest texts are replaced by notes until it fits. Should that not be
    enough (millions of small things), an object with ``left_out`` stands for all of it, or for its field *within*.
    """
    if len(data) <= most:
        return data
    holder = [orjson.loads(data)]
    size = len(data)
    for length, place, key in sorted(_texts(holder), key=lambda found: found[0], reverse=True):
        if size <= most:
            break
        note = _note(place[key], length)
        place[key] = note
        size -= length - len(orjson.dumps(note))
    if size > most:
        told = f"{len(data)} bytes left out, larger than an event may be; the thread's state has the whole"
        return orjson.dumps({"left_out": told} if within is None else {**holder[0], within: {"left_out": told}})
    return orjson.dumps(holder[0])


def _texts(holder: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """Each long text in there: its length as JSON, and where it stands (container, key)."""
    containers: list[Any] = [holder]
    while containers:
        container = containers.pop()
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, str):
                length = len(orjson.dumps(value))
                if length >= _WORTH_BYTES:
                    yield length, container, key
            elif isinstance(value, dict | list):
                containers.append(value)


def _note(text: str, length: int) -> str:
    beginning = text[:_SHOWN_CHARACTERS]
    return f"[{length} bytes left out of this event, beginning with {beginning!r}; the thread's state has the whole]"
