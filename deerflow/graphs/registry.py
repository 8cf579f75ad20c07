"""Graphs: langgraph.json -> the graphs it names, imported once when a worker starts."""

import importlib
import importlib.util
import logging
import sys
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from deerflow.errors import ConfigError
from deerflow.project import GraphSource, Project

log = logging.getLogger(__name__)


class GraphBroken(RuntimeError):
    """A run wants a graph that could not be imported; the text names the module and the reason."""


class Graphs:
    """The graphs of one project. One that fails to import is kept as such, so that the others can be served."""

    def __init__(self, graphs: dict[str, Pregel[Any, Any, Any, Any]], broken: dict[str, str]) -> None:
        self._graphs = graphs
        self.broken = broken

    @classmethod
    def load(cls, project: Project) -> "Graphs":
        """Import every graph of the project."""
        _extend_path(project)
        graphs: dict[str, Pregel[Any, Any, Any, Any]] = {}
        broken: dict[str, str] = {}
        for source in project.graphs.values():
            try:
                graphs[source.graph_id] = _load(project, source)
            except Exception as error:  # user code may raise anything at all while it is imported
                broken[source.graph_id] = (
                    f"Graph '{source.graph_id}' ({source.target}): {type(error).__name__}: {error}"
                )
                log.exception("A graph could not be imported", extra={"graph_id": source.graph_id})
        return cls(graphs, broken)

    def get(self, graph_id: str) -> Pregel[Any, Any, Any, Any]:
        """The compiled graph; GraphBroken when it is not there or could not be imported."""
        if graph_id in self.broken:
            raise GraphBroken(self.broken[graph_id])
        try:
            return self._graphs[graph_id]
        except KeyError:
            raise GraphBroken(f"Graph '{graph_id}' is not in langgraph.json any more") from None


def _extend_path(project: Project) -> None:
    """Make the project's own modules importable: its folder and its local dependencies."""
    folders = [project.folder, *(project.folder / d for d in project.dependencies if d.startswith("."))]
    for folder in reversed(folders):
        path = str(folder.resolve())
        if path not in sys.path:
            sys.path.insert(0, path)


def _load(project: Project, source: GraphSource) -> Pregel[Any, Any, Any, Any]:
    where, _, attribute = source.target.rpartition(":")
    module = (
        _load_file(project, source.graph_id, where)
        if where.endswith(".py")
        else importlib.import_module(where)
    )
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{where} has no attribute {attribute!r}") from None
    if isinstance(found, StateGraph):
        found = found.compile()
    if not isinstance(found, Pregel):
        raise ConfigError(
            f"{source.target} is a {type(found).__name__}, not a graph (factories come with a later release)"
        )
    return found


def _load_file(project: Project, graph_id: str, where: str) -> ModuleType:
    path = (project.folder / where).resolve()
    name = f"deerflow_graph_{graph_id}_{path.stem}".replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConfigError(f"{path} does not exist")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
