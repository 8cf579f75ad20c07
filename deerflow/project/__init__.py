"""The user's project: what langgraph.json says, read without importing any of the user's code.

``http`` and ``memory`` have the keys ``http``, ``store`` and ``checkpointer``, ``kinds`` what values may be.
"""

import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project.http import Cors, HeaderRule, Http, read_http
from deerflow.project.kinds import FLAG, NUMBER, NUMBERS, OBJECT, SOME_WORDS, TARGET, TEXT, WORDS, Kind, checked, fixed
from deerflow.project.memory import (
    LONGEST_TTL_MINUTES,
    Checkpointer,
    Store,
    StoreIndex,
    read_checkpointer,
    read_store,
)

__all__ = [
    "LONGEST_TTL_MINUTES", "Auth", "Checkpointer", "Cors", "GraphSource", "HeaderRule", "Http", "Project", "Store",
    "StoreIndex", "Webhooks", "load",
]  # fmt: skip

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
class Project:
    """One langgraph.json. ``folder`` is where its relative paths start."""

    folder: Path
    graphs: dict[str, GraphSource]
    dependencies: list[str] = field(default_factory=list)
    env: dict[str, str] | str = field(default_factory=dict)
    webhooks: Webhooks = field(default_factory=Webhooks)
    http: Http = field(default_factory=Http)
    auth: Auth | None = None
    store: Store = field(default_factory=Store)
    checkpointer: Checkpointer = field(default_factory=Checkpointer)


_KNOWN = {"graphs", "dependencies", "env", "http", "webhooks", "auth", "store", "checkpointer"}
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
        log.warning(
            "A key of langgraph.json has no effect: %s", "it is not known here", extra={"key": key, "file": str(path)}
        )
    graphs = {graph_id: _source(path, graph_id, value) for graph_id, value in raw["graphs"].items()}
    return Project(
        folder=path.parent,
        graphs=graphs,
        dependencies=[str(entry) for entry in raw.get("dependencies") or []],
        env=raw.get("env") or {},
        webhooks=_webhooks(path, raw.get("webhooks")),
        http=read_http(path, raw.get("http") or {}),
        auth=_auth(path, raw.get("auth")),
        store=read_store(path, raw.get("store")),
        checkpointer=read_checkpointer(path, raw.get("checkpointer")),
    )


def _source(path: Path, graph_id: str, value: Any) -> GraphSource:
    target, description = (value.get("path"), value.get("description")) if isinstance(value, dict) else (value, None)
    if not isinstance(target, str) or ":" not in target:
        raise ConfigError(f'{path}: graph "{graph_id}" must look like "./file.py:attribute", not {value!r}')
    return GraphSource(graph_id, target, description)


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[ -~]*", re.ASCII)
_OUR_HEADERS = re.compile(r"(?i)host|content-.*|transfer-encoding|connection|webhook-.*")

_HEADERS: Kind = (
    lambda value: (
        isinstance(value, dict)
        and all(_HEADER_NAME.fullmatch(name) and not _OUR_HEADERS.fullmatch(name) for name in value)
        and all(isinstance(each, str) and _HEADER_VALUE.fullmatch(each) for each in value.values())
    ),
    "an object of header lines; host, connection, content-* and webhook-* are the server's own",
)

_WEBHOOK_KEYS = {"url": OBJECT, "env_prefix": TEXT, "headers": _HEADERS, "allowed_fields": WORDS}
_URL_KEYS = {
    "require_https": FLAG,
    "disable_loopback": FLAG,
    "allowed_domains": WORDS,
    "allowed_ports": NUMBERS,
    "max_url_length": NUMBER,
}


def _webhooks(path: Path, raw: Any) -> Webhooks:
    """The key ``webhooks``; strict, because a rule that is misspelt would protect nothing."""
    found = checked(path, "webhooks", {} if raw is None else raw, _WEBHOOK_KEYS)
    url = checked(path, "webhooks.url", found.pop("url", {}), _URL_KEYS)
    return Webhooks(**{name: fixed(value) for name, value in (found | url).items()})


_ANY_NUMBER: Kind = (lambda value: type(value) in (int, float) and 0 <= value <= _LONGEST_TTL, "0 to 86400 seconds")
_LONGEST_TTL = 86_400
_AUTH_KEYS = {"path": TARGET, "disable_studio_auth": FLAG, "openapi": OBJECT, "cache": OBJECT}
_CACHE_KEYS = {"cache_keys": SOME_WORDS, "ttl_seconds": _ANY_NUMBER, "max_size": NUMBER}


def _auth(path: Path, raw: Any) -> Auth | None:
    """The key ``auth``; strict, because a rule that is misspelt would let anybody in.

    ``disable_studio_auth`` and ``openapi`` change nothing: there is no way past the handlers, for Studio neither.
    """
    if raw is None:
        return None
    found = checked(path, "auth", raw, _AUTH_KEYS)
    cache = checked(path, "auth.cache", found.get("cache", {}), _CACHE_KEYS)
    if "path" not in found:
        raise ConfigError(f'{path}: "auth" needs a "path", for example "./auth.py:auth"')
    if "cache_keys" in cache:
        cache["cache_keys"] = tuple(name.lower() for name in cache["cache_keys"])
    return Auth(found["path"], **cache)
