"""The keys ``store`` and ``checkpointer`` of langgraph.json: how items are found, and how long things are kept."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project.kinds import FLAG, NUMBER, OBJECT, SOME_WORDS, TARGET, Kind, checked, fixed

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


@dataclass(frozen=True)
class Checkpointer:
    """The key ``checkpointer``: what it says of threads of which nobody says how long they are kept, in minutes.

    ``default_ttl`` None: for ever.
    """

    default_ttl: float | None = None
    strategy: str = "delete"


LONGEST_TTL_MINUTES = 52_560_000
"""A hundred years; dates end a little later."""
_MINUTES: Kind = (
    lambda value: type(value) in (int, float) and 0 < value <= LONGEST_TTL_MINUTES,
    "a positive number of minutes, a hundred years at most",
)
_STORE_KEYS = {"index": OBJECT, "ttl": OBJECT, "path": TARGET}
_INDEX_KEYS = {"dims": NUMBER, "embed": TARGET, "fields": SOME_WORDS}
_STORE_TTL_KEYS = {"refresh_on_read": FLAG, "default_ttl": _MINUTES, "sweep_interval_minutes": _MINUTES}


def read_store(path: Path, raw: Any) -> Store:
    """The key ``store``; strict, because an item that is never found, or never goes, is noticed late."""
    found = checked(path, "store", {} if raw is None else raw, _STORE_KEYS)
    ttl = checked(path, "store.ttl", found.get("ttl", {}), _STORE_TTL_KEYS)
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


_STRATEGY: Kind = (lambda value: value in ("delete", "keep_latest"), '"delete" or "keep_latest"')
_CHECKPOINTER_KEYS = {"ttl": OBJECT}
_TTL_KEYS = {
    "strategy": _STRATEGY,
    "default_ttl": _MINUTES,
    "sweep_interval_minutes": _MINUTES,
    "sweep_limit": NUMBER,
}


def read_checkpointer(path: Path, raw: Any) -> Checkpointer:
    """The key ``checkpointer``. Its ``ttl`` is strict: threads that are kept for ever by mistake would not show.

    ``sweep_interval_minutes`` and ``sweep_limit`` change nothing: the clock looks every half minute for all of them.
    """
    given = raw or {}
    if not isinstance(given, dict):
        raise ConfigError(f'{path}: "checkpointer" must be an object')
    for key in sorted(given.keys() - _CHECKPOINTER_KEYS.keys()):
        facts = {"key": f"checkpointer.{key}", "file": str(path)}
        log.warning("A key of langgraph.json has no effect: %s", "checkpoints are the server's", extra=facts)
    known = {key: value for key, value in given.items() if key in _CHECKPOINTER_KEYS}
    ttl = checked(
        path, "checkpointer.ttl", checked(path, "checkpointer", known, _CHECKPOINTER_KEYS).get("ttl", {}), _TTL_KEYS
    )
    return Checkpointer(**{name: ttl[name] for name in ("default_ttl", "strategy") if name in ttl})
