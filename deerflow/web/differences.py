"""What has changed from one version of an assistant to the next, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

from deerflow.domain.assistants import AssistantVersion
from deerflow.web.compact import laid_out

Line = tuple[str, str]
FIELDS = ("name", "description", "graph_id", "config", "context", "metadata")

_MANY = 200
_MOST = 500
_AROUND = 3
_LEFT_OUT: Line = (" ", "…")
_MOST_PAIRS = 100_000
"""To compare so many lines with each other takes some 10 ms."""


@dataclass(frozen=True)
class Change:
    """A field that is another one: its lines, each with ``+`` (new), ``-`` (gone) or a blank (as before)."""

    field: str
    lines: list[Line]


def changes(before: AssistantVersion | None, after: AssistantVersion) -> list[Change]:
    """The fields that differ; before the first version there was nothing."""
    both = {name: (getattr(before, name, None), getattr(after, name)) for name in FIELDS}
    return [Change(name, _lines(was, now)) for name, (was, now) in both.items() if was != now and (was or now)]


def _lines(before: Any, after: Any) -> list[Line]:
    """All lines; of many those near the changes, and not more than a page bears."""
    told = list(_compared(_written(before), _written(after)))
    if len(told) > _MANY:
        told = list(_near_changes(told))
    return told if len(told) <= _MOST else [*told[:_MOST], _LEFT_OUT]


def _compared(old: list[str], new: list[str]) -> Iterator[Line]:
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    yield from ((" ", line) for line in new[:begin])
    yield from _matched(old[begin : len(old) - end], new[begin : len(new) - end])
    yield from ((" ", line) for line in new[len(new) - end :])


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _matched(old: list[str], new: list[str]) -> Iterator[Line]:
    if len(old) * len(new) > _MOST_PAIRS:
        yield from (("-", line) for line in old)
        yield from (("+", line) for line in new)
        return
    for _, i, until_i, j, until_j in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if old[i:until_i] == new[j:until_j]:
            yield from ((" ", line) for line in new[j:until_j])
        else:
            yield from (("-", line) for line in old[i:until_i])
            yield from (("+", line) for line in new[j:until_j])


def _near_changes(told: list[Line]) -> Iterator[Line]:
    """The lines that changed with those around them, and one for all that is left out in between."""
    changed = [at for at, (mark, _) in enumerate(told) if mark != " "]
    near = {each for at in changed for each in range(at - _AROUND, at + _AROUND + 1)}
    for is_near, lines in groupby(enumerate(told), key=lambda each: each[0] in near):
        yield from (line for _, line in lines) if is_near else (_LEFT_OUT,)


def _written(value: Any) -> list[str]:
    if not value:
        return []
    return value.splitlines() if isinstance(value, str) else laid_out(value).splitlines()
