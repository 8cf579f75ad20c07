"""The user's project: what langgraph.json says, read without importing any of the user's code."""

import json
import logging
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
    configurable_headers: HeaderRule = HeaderRule()


_KNOWN = {"graphs", "dependencies", "env", "http"}
_LATER = {"auth", "store", "checkpointer", "webhooks"}
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
        configurable_headers=_http(path, raw.get("http") or {}),
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
