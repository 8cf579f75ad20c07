"""The key ``http`` of langgraph.json: what is served and where, which headers runs see, and whose pages may call."""

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
    disabled: frozenset[str] = frozenset()
    """Families of routes, and ``webhooks``, that are switched off."""
    mount_prefix: str = ""
    """Where everything is served: empty, or like ``/agents``."""


_A_DAY = 86_400
_FAMILIES = (
    "assistants", "threads", "runs", "store", "meta", "webhooks", "event_streaming", "mcp", "a2a", "ui",
)  # fmt: skip
"""What a key ``disable_…`` switches off; of the last three there is nothing here to switch off."""
_CARRIED_OUT = {"configurable_headers", "cors", "mount_prefix", *(f"disable_{family}" for family in _FAMILIES)}
_WITHOUT_EFFECT = {
    "app": "the web process imports no user code; run the app beside this server, behind the same proxy (ADR 0020)",
    "middleware_order": "there is no http.app here whose middleware could come first",
    "enable_custom_route_auth": "there is no http.app here whose routes could be protected",
    "logging_headers": "requests are not logged here; the proxy in front has their headers",
}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def read_http(path: Path, http: Any) -> Http:
    """What ``http`` says; keys that are not carried out are warned about."""
    if not isinstance(http, dict):
        raise ConfigError(f'{path}: "http" must be an object')
    for key in sorted(http.keys() - _CARRIED_OUT):
        facts = {"key": f"http.{key}", "file": str(path)}
        log.warning("A key of langgraph.json has no effect: %s", _WITHOUT_EFFECT.get(key, "not known"), extra=facts)
    return Http(
        configurable_headers=_rule(path, http, "configurable_headers"),
        cors=_cors(path, http.get("cors")),
        disabled=frozenset(family for family in _FAMILIES if _flag(path, http, f"disable_{family}")),
        mount_prefix=_mount_prefix(path, http.get("mount_prefix")),
    )


def _flag(path: Path, http: dict[str, Any], key: str) -> bool:
    value = http.get(key)
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f'{path}: "http.{key}" must be true or false')
    return value or False


def _mount_prefix(path: Path, value: Any) -> str:
    """A path without its last slash; ``/api`` is a mount of the server's own."""
    if value is None or value in ("", "/"):
        return ""
    found = value.rstrip("/") if isinstance(value, str) else ""
    if not _PREFIX.fullmatch(found):
        raise ConfigError(f'{path}: "http.mount_prefix" must be a path like "/agents"')
    return found


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
