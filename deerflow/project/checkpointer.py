"""The key ``checkpointer`` of langgraph.json: how long threads are kept of which nobody says anything else."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project.kinds import NUMBER, OBJECT, Kind, checked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpointer:
    """``default_ttl``: minutes; None: for ever."""

    default_ttl: float | None = None
    strategy: str = "delete"


_LONGEST_MINUTES = 100 * 366 * 24 * 60
_MINUTES: Kind = (
    lambda value: type(value) in (int, float) and 0 < value <= _LONGEST_MINUTES,
    "a number of minutes, more than 0 and at most a hundred years",
)
_STRATEGY: Kind = (lambda value: value in ("delete", "keep_latest"), '"delete" or "keep_latest"')
_KEYS = {"ttl": OBJECT}
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
    given = {} if raw is None else raw
    if not isinstance(given, dict):
        raise ConfigError(f'{path}: "checkpointer" must be an object')
    for key in sorted(given.keys() - _KEYS.keys()):
        facts = {"key": f"checkpointer.{key}", "file": str(path)}
        log.warning("A key of langgraph.json has no effect: %s", "checkpoints are the server's", extra=facts)
    known = checked(path, "checkpointer", {key: given[key] for key in given.keys() & _KEYS.keys()}, _KEYS)
    ttl = checked(path, "checkpointer.ttl", known.get("ttl", {}), _TTL_KEYS)
    return Checkpointer(**{name: ttl[name] for name in ("default_ttl", "strategy") if name in ttl})
