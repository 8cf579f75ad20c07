"""The user's project: what langgraph.json says, read without importing any of the user's code."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GraphSource:
    """Where a graph is: ``target`` is ``path/to/file.py:attribute`` or ``package.module:attribute``."""

    graph_id: str
    target: str
    description: str | None = None


@dataclass(frozen=True)
class Webhooks:
    """The key ``webhooks``. None: not said, so that the settings decide, or nothing is restricted."""

    require_https: bool | None = None
    disable_loopback: bool | None = None
    allowed_domains: tuple[str, ...] | None = None
    allowed_ports: tuple[int, ...] | None = None
    max_url_length: int | None = None
    env_prefix: str = "LG_WEBHOOK_"
    headers: dict[str, str] = field(default_factory=dict)
    allowed_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Auth:
    """The key ``auth``: where the project's ``langgraph_sdk.Auth`` is, and how long its answers may be remembered.

    ``cache_keys``: the headers that tell callers apart; None: all that its ``authenticate`` can look at.
    """

    target: str
    cache_keys: tuple[str, ...] | None = None
    ttl_seconds: float | None = None
    max_size: int | None = None


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


@dataclass(frozen=True)
class HeaderRule:
    """Which request headers a run's ``configurable`` shows: lower-case names, where ``*`` stands for anything."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """One langgraph.json. ``folder`` is where its relative paths start."""

    folder: Path
    graphs: dict[str, GraphSource]
    dependencies: list[str] = field(default_factory=list)
    env: dict[str, str] | str = field(default_factory=dict)
    webhooks: Webhooks = field(default_factory=Webhooks)
    configurable_headers: HeaderRule = HeaderRule()
    auth: Auth | None = None
    store: Store = field(default_factory=Store)
    checkpointer: Checkpointer = field(default_factory=Checkpointer)


_KNOWN = {"graphs", "dependencies", "env", "http", "webhooks", "auth", "store", "checkpointer"}
_LATER: set[str] = set()
_ELSEWHERE = {
    # What builds images or user interfaces somewhere else; nothing here to do with it.
    "ui", "ui_config", "encryption", "priority", "python_version", "node_version", "base_image", "image_distro",
    "pip_config_file", "pip_installer", "dockerfile_lines", "api_version", "source", "keep_pkg_tools", "$schema",
}  # fmt: skip


def load(path: Path) -> Project:
    """Read a langgraph.json; ConfigError names the file and what is wrong in it."""
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Name your langgraph.json with --config.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("graphs"), dict) or not raw["graphs"]:
        raise ConfigError(f'{path} needs an object "graphs", for example {{"graphs": {{"agent": "./agent.py:graph"}}}}')
    for key in sorted(raw.keys() - _KNOWN - _ELSEWHERE):
        why = "this release does not carry it out" if key in _LATER else "it is not known here"
        log.warning("A key of langgraph.json has no effect: %s", why, extra={"key": key, "file": str(path)})
    graphs = {graph_id: _source(path, graph_id, value) for graph_id, value in raw["graphs"].items()}
    return Project(
        folder=path.parent,
        graphs=graphs,
        dependencies=[str(entry) for entry in raw.get("dependencies") or []],
        env=raw.get("env") or {},
        webhooks=_webhooks(path, raw.get("webhooks")),
        configurable_headers=_http(path, raw.get("http") or {}),
        auth=_auth(path, raw.get("auth")),
        store=_store(path, raw.get("store")),
        checkpointer=_checkpointer(path, raw.get("checkpointer")),
    )


def _http(path: Path, http: Any) -> HeaderRule:
    """What ``http`` says about headers; its other keys are warned about."""
    if not isinstance(http, dict):
        raise ConfigError(f'{path}: "http" must be an object')
    for key in sorted(http.keys() - {"configurable_headers"}):
        facts = {"key": f"http.{key}", "file": str(path)}
        log.warning("A key of langgraph.json has no effect: %s", "this release does not carry it out", extra=facts)
    rule = http.get("configurable_headers") or {}
    if not isinstance(rule, dict):
        raise ConfigError(f'{path}: "http.configurable_headers" must be an object with "include" and "exclude"')
    return HeaderRule(include=_patterns(path, rule, "include"), exclude=_patterns(path, rule, "exclude"))


def _patterns(path: Path, rule: dict[str, Any], name: str) -> tuple[str, ...]:
    found = rule.get(name) or rule.get(f"{name}s") or []  # both spellings are about
    if not isinstance(found, list) or not all(isinstance(pattern, str) for pattern in found):
        raise ConfigError(f'{path}: "http.configurable_headers.{name}" must be a list of header names')
    return tuple(pattern.lower() for pattern in found)


def _source(path: Path, graph_id: str, value: Any) -> GraphSource:
    target, description = (value.get("path"), value.get("description")) if isinstance(value, dict) else (value, None)
    if not isinstance(target, str) or ":" not in target:
        raise ConfigError(f'{path}: graph "{graph_id}" must look like "./file.py:attribute", not {value!r}')
    return GraphSource(graph_id, target, description)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[ -~]*", re.ASCII)
_OUR_HEADERS = re.compile(r"(?i)host|content-.*|transfer-encoding|connection|webhook-.*")

_Kind = tuple[Callable[[Any], bool], str]
_FLAG: _Kind = (lambda value: isinstance(value, bool), "true or false")
_WORDS: _Kind = (
    lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
    "a list of strings",
)
_NUMBER: _Kind = (lambda value: type(value) is int and value > 0, "a positive whole number")
_NUMBERS: _Kind = (
    lambda value: isinstance(value, list) and all(_NUMBER[0](each) for each in value),
    "a list of positive whole numbers",
)
_OBJECT: _Kind = (lambda value: isinstance(value, dict), "an object")
_PREFIX: _Kind = (lambda value: isinstance(value, str) and value != "", "a string that is not empty")
_HEADERS: _Kind = (
    lambda value: (
        isinstance(value, dict)
        and all(_HEADER_NAME.fullmatch(name) and not _OUR_HEADERS.fullmatch(name) for name in value)
        and all(isinstance(each, str) and _HEADER_VALUE.fullmatch(each) for each in value.values())
    ),
    "an object of header lines; host, connection, content-* and webhook-* are the server's own",
)

_WEBHOOK_KEYS = {"url": _OBJECT, "env_prefix": _PREFIX, "headers": _HEADERS, "allowed_fields": _WORDS}
_URL_KEYS = {
    "require_https": _FLAG,
    "disable_loopback": _FLAG,
    "allowed_domains": _WORDS,
    "allowed_ports": _NUMBERS,
    "max_url_length": _NUMBER,
}


def _webhooks(path: Path, raw: Any) -> Webhooks:
    """The key ``webhooks``; strict, because a rule that is misspelt would protect nothing."""
    found = _checked(path, "webhooks", {} if raw is None else raw, _WEBHOOK_KEYS)
    url = _checked(path, "webhooks.url", found.pop("url", {}), _URL_KEYS)
    return Webhooks(**{name: _fixed(value) for name, value in (found | url).items()})


_TARGET: _Kind = (
    lambda value: isinstance(value, str) and ":" in value.strip(":"),
    'like "./auth.py:auth"',
)
_ANY_NUMBER: _Kind = (lambda value: type(value) in (int, float) and 0 <= value <= _LONGEST_TTL, "0 to 86400 seconds")
_LONGEST_TTL = 86_400
_AUTH_KEYS = {"path": _TARGET, "disable_studio_auth": _FLAG, "openapi": _OBJECT, "cache": _OBJECT}
_SOME_WORDS: _Kind = (lambda value: _WORDS[0](value) and len(value) > 0, "a list of strings that is not empty")
"""By no header at all everybody would be who came first."""
_CACHE_KEYS = {"cache_keys": _SOME_WORDS, "ttl_seconds": _ANY_NUMBER, "max_size": _NUMBER}


def _auth(path: Path, raw: Any) -> Auth | None:
    """The key ``auth``; strict, because a rule that is misspelt would let anybody in.

    ``disable_studio_auth`` and ``openapi`` change nothing: there is no way past the handlers, for Studio neither.
    """
    if raw is None:
        return None
    found = _checked(path, "auth", raw, _AUTH_KEYS)
    cache = _checked(path, "auth.cache", found.get("cache", {}), _CACHE_KEYS)
    if "path" not in found:
        raise ConfigError(f'{path}: "auth" needs a "path", for example "./auth.py:auth"')
    if "cache_keys" in cache:
        cache["cache_keys"] = tuple(name.lower() for name in cache["cache_keys"])
    return Auth(found["path"], **cache)


LONGEST_TTL_MINUTES = 52_560_000
"""A hundred years; dates end a little later."""
_MINUTES: _Kind = (
    lambda value: type(value) in (int, float) and 0 < value <= LONGEST_TTL_MINUTES,
    "a positive number of minutes, a hundred years at most",
)
_STORE_KEYS = {"index": _OBJECT, "ttl": _OBJECT, "path": _TARGET}
_INDEX_KEYS = {"dims": _NUMBER, "embed": _TARGET, "fields": _SOME_WORDS}
_STORE_TTL_KEYS = {"refresh_on_read": _FLAG, "default_ttl": _MINUTES, "sweep_interval_minutes": _MINUTES}


def _store(path: Path, raw: Any) -> Store:
    """The key ``store``; strict, because an item that is never found, or never goes, is noticed late."""
    found = _checked(path, "store", {} if raw is None else raw, _STORE_KEYS)
    ttl = _checked(path, "store.ttl", found.get("ttl", {}), _STORE_TTL_KEYS)
    if "path" in found:
        why = "items are kept in this server's own store, where each owner sees their own"
        log.warning("A key of langgraph.json has no effect: %s", why, extra={"key": "store.path", "file": str(path)})
    return Store(index=_index(path, found["index"]) if "index" in found else None, **ttl)


def _index(path: Path, raw: Any) -> StoreIndex:
    found = _checked(path, "store.index", raw, _INDEX_KEYS)
    for name in ("dims", "embed"):
        if name not in found:
            raise ConfigError(f'{path}: "store.index" needs "dims" and "embed", for example 3 and "./embed.py:embed"')
    return StoreIndex(**{name: _fixed(value) for name, value in found.items()})


_MINUTES: _Kind = (
    lambda value: type(value) in (int, float) and 0 < value <= _LONGEST_MINUTES,
    "a number of minutes, more than 0 and at most a hundred years",
)
_LONGEST_MINUTES = 100 * 366 * 24 * 60
_STRATEGY: _Kind = (lambda value: value in ("delete", "keep_latest"), '"delete" or "keep_latest"')
_CHECKPOINTER_KEYS = {"ttl": _OBJECT}
_TTL_KEYS = {
    "strategy": _STRATEGY,
    "default_ttl": _MINUTES,
    "sweep_interval_minutes": _MINUTES,
    "sweep_limit": _NUMBER,
}


def _checkpointer(path: Path, raw: Any) -> Checkpointer:
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
    ttl = _checked(
        path, "checkpointer.ttl", _checked(path, "checkpointer", known, _CHECKPOINTER_KEYS).get("ttl", {}), _TTL_KEYS
    )
    return Checkpointer(**{name: ttl[name] for name in ("default_ttl", "strategy") if name in ttl})


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _checked(path: Path, where: str, raw: Any, keys: dict[str, _Kind]) -> Any:
    """An object whose keys are known and whose values are of their kind; null is as if it were not there."""
    if not isinstance(raw, dict):
        raise ConfigError(f'{path}: "{where}" must be an object')
    for name, value in raw.items():
        if name not in keys:
            raise ConfigError(f'{path}: "{where}.{name}" is not known; there are: {", ".join(keys)}')
        holds, told = keys[name]
        if value is not None and not holds(value):
            raise ConfigError(f'{path}: "{where}.{name}" must be {told}')
    return {name: value for name, value in raw.items() if value is not None}
