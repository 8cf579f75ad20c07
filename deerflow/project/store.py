"""The key ``store`` of langgraph.json: how long items live, and how they are found by what they mean."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project.kinds import FLAG, NUMBER, OBJECT, TARGET, WORDS, Kind, checked, fixed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreIndex:
    """The key ``store.index``: how items are found by what they mean.

    ``embed``: ``./file.py:function`` or ``package.module:function`` of the project, or LangChain's ``provider:model``.
    ``fields``: what of an item is embedded; ``$`` is all of it.
    """

    dims: int
    embed: str
    fields: tuple[str, ...] = ("$",)


@dataclass(frozen=True)
class Store:
    """The key ``store``. Lengths are in minutes, as everywhere with store items."""

    index: StoreIndex | None = None
    refresh_on_read: bool = True
    default_ttl: float | None = None
    sweep_interval_minutes: float = 5


LONGEST_TTL_MINUTES = 52_560_000
"""A hundred years; dates end a little later."""
_MINUTES: Kind = (
    lambda value: type(value) in (int, float) and 0 < value <= LONGEST_TTL_MINUTES,
    "a positive number of minutes, a hundred years at most",
)
_PATHS: Kind = (lambda value: WORDS[0](value) and len(value) > 0, "a list of strings that is not empty")
_KEYS = {"index": OBJECT, "ttl": OBJECT, "path": TARGET}
_INDEX_KEYS = {"dims": NUMBER, "embed": TARGET, "fields": _PATHS}
_TTL_KEYS = {"refresh_on_read": FLAG, "default_ttl": _MINUTES, "sweep_interval_minutes": _MINUTES}


def read_store(path: Path, raw: Any) -> Store:
    """What ``store`` says; strict, because an item that is never found, or never goes, is noticed late."""
    found = checked(path, "store", {} if raw is None else raw, _KEYS)
    ttl = checked(path, "store.ttl", found.get("ttl", {}), _TTL_KEYS)
    if "path" in found:
        why = "items are kept in this server's own store, where each owner sees their own"
        log.warning("A key of langgraph.json has no effect: %s", why, extra={"key": "store.path", "file": str(path)})
    return Store(index=_index(path, found["index"]) if "index" in found else None, **ttl)


def _index(path: Path, raw: Any) -> StoreIndex:
    found = checked(path, "store.index", raw, _INDEX_KEYS)
    for name in ("dims", "embed"):
        if name not in found:
            raise ConfigError(f'{path}: "store.index" needs "dims" and "embed", for example 3 and "./embed.py:embed"')
    return StoreIndex(**{name: fixed(value) for name, value in found.items()})
