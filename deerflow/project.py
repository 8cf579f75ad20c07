"""The user's project: what langgraph.json says, read without importing any of the user's code."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError


@dataclass(frozen=True)
class GraphSource:
    """Where a graph is: ``target`` is ``path/to/file.py:attribute`` or ``package.module:attribute``."""

    graph_id: str
    target: str
    description: str | None = None


@dataclass(frozen=True)
class Project:
    """One langgraph.json. ``folder`` is where its relative paths start."""

    folder: Path
    graphs: dict[str, GraphSource]
    dependencies: list[str] = field(default_factory=list)
    env: dict[str, str] | str = field(default_factory=dict)


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
    graphs = {graph_id: _source(path, graph_id, value) for graph_id, value in raw["graphs"].items()}
    return Project(
        folder=path.parent,
        graphs=graphs,
        dependencies=[str(entry) for entry in raw.get("dependencies") or []],
        env=raw.get("env") or {},
    )


def _source(path: Path, graph_id: str, value: Any) -> GraphSource:
    target, description = (value.get("path"), value.get("description")) if isinstance(value, dict) else (value, None)
    if not isinstance(target, str) or ":" not in target:
        raise ConfigError(f'{path}: graph "{graph_id}" must look like "./file.py:attribute", not {value!r}')
    return GraphSource(graph_id, target, description)
