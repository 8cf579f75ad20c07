"""Which part of a list a page shows, and the addresses of the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

SIZE = 25


@dataclass(frozen=True)
class Page:
    """One part of a list of *total* things. ``query``: what the address says besides; shown by ``pager``."""

    number: int
    total: int
    query: Mapping[str, str]
    size: int = SIZE

    @property
    def of(self) -> int:
        """How many parts there are; one, when there is nothing."""
        return max(1, -(-self.total // self.size))

    @property
    def offset(self) -> int:
        """How many things come before it."""
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """The number of its first thing."""
        return self.offset + 1

    @property
    def last(self) -> int:
        """The number of its last thing."""
        return min(self.offset + self.size, self.total)

    def at(self, number: int) -> str:
        """The address of another part."""
        told = {**self.query, **({"page": str(number)} if number > 1 else {})}
        return f"{request.script_root}{request.path}" + (f"?{urlencode(told)}" if told else "")


def page_of(total: int, query: Mapping[str, str], *, size: int = SIZE) -> Page:
    """The part that the address names; the nearest one where there is no such part any more."""
    asked = request.args.get("page", 1, type=int)
    of = Page(1, total, query, size).of
    return Page(min(max(1, asked), of), total, query, size)
