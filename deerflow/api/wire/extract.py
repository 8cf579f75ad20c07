"""Extract: single values out of found threads, named by paths such as ``values.messages[-1].content``."""

import re
from typing import Any

from deerflow.errors import Invalid

_MOST_PATHS = 10
_ROOTS = ("config", "interrupts", "metadata", "values")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?[0-9]{1,9})\]", re.ASCII)
_PATH = re.compile(rf"({'|'.join(_ROOTS)})((?:{_STEP.pattern})*)", re.ASCII)

Path = tuple[str | int, ...]
"""Keys of objects and places in lists, one after the other."""


def parse_paths(extract: dict[str, str], *, reserved: set[str]) -> dict[str, Path]:
    """The paths by their aliases; Invalid names the first that cannot be followed. *reserved*: no aliases."""
    if len(extract) > _MOST_PATHS:
        raise Invalid(f"extract: at most {_MOST_PATHS} paths, not {len(extract)}")
    return {_alias(alias, reserved): _parse(path) for alias, path in extract.items()}


def follow(path: Path, thing: Any) -> Any:
    """What is there at the end of a path; None where there is nothing."""
    for step in path:
        if isinstance(step, int) and isinstance(thing, list) and -len(thing) <= step < len(thing):
            thing = thing[step]
        elif isinstance(step, str) and isinstance(thing, dict):
            thing = thing.get(step)
        else:
            return None
    return thing


def _alias(alias: str, reserved: set[str]) -> str:
    if not _ALIAS.fullmatch(alias) or alias in reserved:
        raise Invalid(f"extract: {alias!r} cannot be an alias: letters, digits and _, and no field of a thread")
    return alias


def _parse(path: str) -> Path:
    found = _PATH.fullmatch(path)
    if found is None:
        raise Invalid(
            f"extract: {path!r} is no path: it begins with one of {', '.join(_ROOTS)} and goes on with .key or [place]"
        )
    steps = [key or int(place) for key, place in _STEP.findall(found[2])]
    return (found[1], *steps)
