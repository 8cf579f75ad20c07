"""The key ``http`` of langgraph.json: which headers runs see, and which origins' pages may call."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project.kinds import ANYTHING, FLAG, WORDS, Kind, checked, fixed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeaderRule:
    """Which request headers a run's ``configurable`` shows: lower-case names, where ``*`` stands for anything."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cors:
    """The key ``http.cors``. None: not said, so that the settings or the mode decide."""

    allow_origins: tuple[str, ...] | None = None
    allow_origin_regex: str | None = None
    allow_credentials: bool = False
    expose_headers: tuple[str, ...] = ()
    max_age: int = 600


@dataclass(frozen=True)
class Http:
    """The key ``http``, as far as it is carried out."""

    configurable_headers: HeaderRule = HeaderRule()
    cors: Cors = Cors()


_A_DAY = 86_400
_CARRIED_OUT = {"configurable_headers", "cors"}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def read_http(path: Path, http: Any) -> Http:
    """What ``http`` says; keys that are not carried out are warned about."""
    if not isinstance(http, dict):
        raise ConfigError(f'{path}: "http" must be an object')
    for key in sorted(http.keys() - _CARRIED_OUT):
        facts = {"key": f"http.{key}", "file": str(path)}
        log.warning("A key of langgraph.json has no effect: %s", "this release does not carry it out", extra=facts)
    return Http(configurable_headers=_rule(path, http, "configurable_headers"), cors=_cors(path, http.get("cors")))


def _rule(path: Path, http: dict[str, Any], key: str) -> HeaderRule:
    rule = http.get(key) or {}
    if not isinstance(rule, dict):
        raise ConfigError(f'{path}: "http.{key}" must be an object with "include" and "exclude"')
    return HeaderRule(include=_patterns(path, rule, key, "include"), exclude=_patterns(path, rule, key, "exclude"))


def _patterns(path: Path, rule: dict[str, Any], key: str, name: str) -> tuple[str, ...]:
    found = rule.get(name) or rule.get(f"{name}s") or []  # both spellings are about
    if not isinstance(found, list) or not all(isinstance(pattern, str) for pattern in found):
        raise ConfigError(f'{path}: "http.{key}.{name}" must be a list of header names')
    return tuple(pattern.lower() for pattern in found)


def _is_regex(value: Any) -> bool:
    try:
        re.compile(value)
    except (TypeError, re.error):
        return False
    return True


_CORS_KEYS: dict[str, Kind] = {
    "allow_origins": WORDS,
    "allow_origin_regex": (_is_regex, "a regular expression"),
    "allow_credentials": FLAG,
    "expose_headers": (
        lambda value: WORDS[0](value) and all(_HEADER.fullmatch(name) for name in value),
        "a list of header names",
    ),
    "max_age": (lambda value: type(value) is int and 0 <= value <= _A_DAY, "0 to 86400 seconds"),
    "allow_methods": ANYTHING,
    "allow_headers": ANYTHING,
}
"""The last two change nothing: every method and header that a route knows may be sent by whom the origins let in."""


def _cors(path: Path, raw: Any) -> Cors:
    """The key ``http.cors``; strict, because a rule that is misspelt would let in the wrong pages."""
    found = checked(path, "http.cors", {} if raw is None else raw, _CORS_KEYS)
    known = Cors.__dataclass_fields__
    return Cors(**{name: fixed(value) for name, value in found.items() if name in known})
