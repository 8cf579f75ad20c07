"""What has changed from one version of an assistant to the next, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from deerflow.domain.assistants import AssistantVersion
from deerflow.web.compact import laid_out

FIELDS = ("name", "description", "graph_id", "config", "context", "metadata")


@dataclass(frozen=True)
class Change:
    """A field that is another one: its lines, each with ``+`` (new), ``-`` (gone) or a blank (as before)."""

    field: str
    lines: list[tuple[str, str]]


def changes(before: AssistantVersion | None, after: AssistantVersion) -> list[Change]:
    """The fields that differ; before the first version there was nothing."""
    both = {name: (getattr(before, name, None), getattr(after, name)) for name in FIELDS}
    return [Change(name, list(_lines(was, now))) for name, (was, now) in both.items() if was != now and (was or now)]


def _lines(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    old, new = _written(before), _written(after)
    for _, i, until_i, j, until_j in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if old[i:until_i] == new[j:until_j]:
            yield from ((" ", line) for line in new[j:until_j])
        else:
            yield from (("-", line) for line in old[i:until_i])
            yield from (("+", line) for line in new[j:until_j])


def _written(value: Any) -> list[str]:
    if not value:
        return []
    return value.splitlines() if isinstance(value, str) else laid_out(value).splitlines()
