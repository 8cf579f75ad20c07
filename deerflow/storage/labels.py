"""Labels of threads: what searches by metadata are answered from instead of looking into every thread.

``thread_labels`` has a row for every name at the top of a thread's metadata whose value is neither object nor list.
Triggers keep it, so it is right whoever writes a thread (ADR 0022). A label is the first hundred characters of the
name, and of the value:

    s<text>   a text                                       t, f  true, false
    n<whole>  a whole number, 1.0 as well                  -     null
    r<whole>  another one, without what is after its point
    g         one from 10^15 on, up or down

Those of the last two kinds, and what is cut off, have their label in common with others: there the metadata is looked
at as well.
"""

from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from deerflow.storage.models import thread_labels, threads
from deerflow.storage.types import dump_json

_LONGEST = 100
_LEAST_GREAT_NUMBER = 1e15


@dataclass(frozen=True)
class Label:
    """One that all have whose metadata contains a pair; ``is_exact``: and nobody else."""

    name: str
    value: str
    is_exact: bool


def labels_of(wanted: dict[str, Any]) -> tuple[list[Label], bool]:
    """The labels that all have who contain *wanted*, and whether having them says that they do."""
    stored = orjson.loads(dump_json(wanted))
    flat = {name: value for name, value in stored.items() if not isinstance(value, dict | list)}
    found = [_label(name, value) for name, value in flat.items()]
    return found, len(flat) == len(wanted) and all(label.is_exact for label in found)


def labelled(label: Label) -> list[sa.ColumnElement[bool]]:
    """The conditions on a row of ``thread_labels``."""
    return [thread_labels.c.name == label.name, thread_labels.c.value == label.value]


def has(label: Label) -> sa.ColumnElement[bool]:
    """Whether a row of ``threads`` has a label, by one look at the key."""
    same = (thread_labels.c.owner == threads.c.owner, thread_labels.c.thread_id == threads.c.thread_id)
    # With OFFSET, Postgres makes no join of it: that would begin with all who have the label.
    return sa.select(sa.literal(1)).where(*labelled(label), *same).offset(0).correlate(threads).exists()


def also(label: Label) -> sa.ColumnElement[bool]:
    """Whether the thread of a row of ``thread_labels`` has another label, too."""
    other = thread_labels.alias()
    same = (other.c.owner == thread_labels.c.owner, other.c.thread_id == thread_labels.c.thread_id)
    return sa.exists().where(other.c.name == label.name, other.c.value == label.value, *same).correlate(thread_labels)


def _label(name: str, value: Any) -> Label:
    written = _written(value)
    is_exact = len(name) < _LONGEST and len(written) <= _LONGEST and written[0] not in "rg"
    return Label(name[:_LONGEST], written[: _LONGEST + 1], is_exact)


def _written(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str):
        return f"s{value}"
    if abs(value) >= _LEAST_GREAT_NUMBER:
        return "g"
    return f"{'n' if value == int(value) else 'r'}{int(value)}"
