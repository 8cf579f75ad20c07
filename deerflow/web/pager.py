"""Which part of a long list a page shows: ``?page=2``, and the addresses of its other parts."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

SIZE = 25
_MOST_DIGITS = 9
_ONCE = {"page", "done", "none", "undone", "stopped", "over"}
"""What an address says of this one look: which part it is of, and what a button has just done."""


@dataclass(frozen=True)
class Pager:
    """One part of *total* things; ``number`` begins at 1."""

    number: int
    total: int
    size: int = SIZE

    @property
    def of(self) -> int:
        """How many parts there are."""
        return max(1, -(-self.total // self.size))

    @property
    def offset(self) -> int:
        """How many things come before."""
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """The number of the first thing that is seen."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """The number of the last one."""
        return min(self.offset + self.size, self.total)

    def at(self, number: int) -> str:
        """The address of another part, of the same list."""
        return address(page=str(number) if number > 1 else None)


def pager(total: int, *, size: int = SIZE) -> Pager:
    """The part that the address names; the nearest that there is for a number that is none of them."""
    text = request.args.get("page", "")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 1
    return Pager(min(max(wanted, 1), Pager(1, total, size).of), total, size)


def address(**changed: str | None) -> str:
    """The page's own address with other values in its query; None leaves one out. A change begins at the first part."""
    kept = {name: value for name, value in request.args.items() if value and name not in _ONCE}
    query = urlencode({name: value for name, value in (kept | changed).items() if value is not None})
    return f"{request.script_root}{request.path}{'?' if query else ''}{query}"
