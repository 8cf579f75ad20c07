"""An event: one entry of a run's log."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """What a run says. ``name`` is the stream mode, ``mode|namespace`` below the root; ``data`` is still Python."""

    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored event. ``place`` counts from 1; ``at_ms`` is when it was said; ``frame`` its lines but for the id."""

    place: int
    at_ms: int
    frame: bytes

    @property
    def name(self) -> str:
        """The event's name."""
        return self.frame[7 : self.frame.index(b"\r\n")].decode()

    @property
    def data(self) -> bytes:
        """The event's JSON."""
        return self.frame[self.frame.index(b"\r\n") + 8 : -2]


def parse_cursor(text: str | None) -> int | None:
    """The place after which a client wants to read, from its ``Last-Event-ID``.

    None: no usable wish, so only what comes from now on. 0: everything (the words clients use for it are
    ``-1``, ``-``, ``0`` and ``0-0``). ``<n>-0``, the shape of a Redis stream id, means n.
    """
    if text is None:
        return None
    text = text.strip()
    if text in {"-1", "-", "0", "0-0"}:
        return 0
    number = text.removesuffix("-0")
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 15 else None  # noqa: PLR2004 - below 2^53
