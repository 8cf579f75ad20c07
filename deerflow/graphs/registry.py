"""Graphs: langgraph.json -> the graphs it names, imported once when a worker starts.

What a project may name: a compiled graph, a StateGraph, or a factory: a function, sync or async, or an async context
manager, that takes a config, a runtime, both or nothing and gives one of these. A factory is called anew for every
run and every look at a thread, with the real config.
"""

import importlib.metadata
import inspect
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import AccessContext, _ExecutionRuntime, _ReadRuntime

from deerflow.errors import ConfigError
from deerflow.graphs.modules import load_target, make_importable
from deerflow.project import GraphSource, Project

log = logging.getLogger(__name__)

Graph = Pregel[Any, Any, Any, Any]
Access = AccessContext
"""Why a graph is opened, in the SDK's words; factories may look at it."""


class GraphBroken(RuntimeError):
    """A run wants a graph that could not be imported; the text names the module and the reason."""


class Graphs:
    """The graphs of one project. One that fails to import is kept as such, so that the others can be served."""

    def __init__(self, found: dict[str, Any], broken: dict[str, str]) -> None:
        self._found = found
        self.broken = broken

    @classmethod
    def load(cls, project: Project) -> "Graphs":
        """Import every graph of the project."""
        make_importable(project)
        _warn_about_missing(project)
        found: dict[str, Any] = {}
        broken: dict[str, str] = {}
        for source in project.graphs.values():
            try:
                found[source.graph_id] = _load(project, source)
            except Exception as error:  # user code may raise anything at all while it is imported
                is_told = isinstance(error, ConfigError)  # a sentence of ours, so no stack is of use
                reason = str(error) if is_told else f"{type(error).__name__}: {error}"
                broken[source.graph_id] = f"Graph '{source.graph_id}' ({source.target}): {reason}"
                facts = {"graph_id": source.graph_id, "reason": reason}
                log.exception("A graph could not be imported", exc_info=not is_told, extra=facts)
        return cls(found, broken)

    @asynccontextmanager
    async def open(
        self,
        graph_id: str,
        config: RunnableConfig,
        store: BaseStore,
        *,
        access: AccessContext = "threads.read",
        context: Any = None,
    ) -> AsyncIterator[Graph]:
        """A graph for one use; GraphBroken when it is not there or could not be imported.

        *access* and *context* are for factories: what the graph is wanted for, and the run's context.
        """
        if graph_id in self.broken:
            raise GraphBroken(self.broken[graph_id])
        if graph_id not in self._found:
            raise GraphBroken(f"Graph '{graph_id}' is not in langgraph.json any more")
        found = self._found[graph_id]
        if isinstance(found, Pregel):
            yield _named(found, graph_id)
            return
        async with _made(found, config, _runtime(access, context, store)) as graph:
            yield _named(_compiled(graph, graph_id), graph_id)

    async def context_schemas(self, store: BaseStore) -> dict[str, dict[str, Any] | None]:
        """The JSON schema of each graph's context; None where it has none or cannot be asked."""
        return {graph_id: await self._context_schema(graph_id, store) for graph_id in self._found}

    async def _context_schema(self, graph_id: str, store: BaseStore) -> dict[str, Any] | None:
        try:
            async with self.open(graph_id, {"configurable": {}}, store, access="assistants.read") as graph:
                return graph.get_context_jsonschema() if graph.context_schema is not None else None
        except Exception:  # a factory may need a real run; then its contexts are checked by nobody but itself
            log.info("A graph could not tell its context schema", exc_info=True, extra={"graph_id": graph_id})
            return None


def _warn_about_missing(project: Project) -> None:
    """Say which packages of ``dependencies`` are not installed; their import would say it less clearly."""
    for entry in project.dependencies:
        package = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", entry)
        if package is None:
            continue
        try:
            importlib.metadata.version(package.group())
        except importlib.metadata.PackageNotFoundError:
            log.warning("A package of langgraph.json's dependencies is not installed", extra={"package": entry})


def _load(project: Project, source: GraphSource) -> Any:
    found = load_target(project, source.target, kind=f"graph_{source.graph_id}")
    return found if callable(found) and not isinstance(found, Pregel | StateGraph) else _compiled(found, source.target)


def _compiled(found: Any, where: str) -> Graph:
    if isinstance(found, StateGraph):
        return found.compile()
    if isinstance(found, Pregel):
        return found
    raise ConfigError(f"{where} is a {type(found).__name__}, not a graph")


def _named(graph: Graph, graph_id: str) -> Graph:
    """A graph that has no name of its own is called by its id, in events and traces."""
    return graph.copy(update={"name": graph_id}) if graph.name == "LangGraph" else graph


@asynccontextmanager
async def _made(factory: Callable[..., Any], config: RunnableConfig, runtime: Any) -> AsyncIterator[Any]:
    """Call a factory and give what it gives, for as long as it keeps it open."""
    given = factory(**_arguments(factory, config, runtime))
    if inspect.isawaitable(given):
        given = await given
    if isinstance(given, AbstractAsyncContextManager) and not isinstance(given, Pregel):
        async with given as graph:
            yield graph
    elif isinstance(given, AbstractContextManager) and not isinstance(given, Pregel):
        with given as graph:
            yield graph
    else:
        yield given


def _arguments(factory: Callable[..., Any], config: RunnableConfig, runtime: Any) -> dict[str, Any]:
    """What a factory wants, by the names and annotations of its parameters; a single unmarked one is the config."""
    wanted: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name == "runtime" or "Runtime" in str(parameter.annotation):
            wanted[name] = runtime
        elif parameter.default is parameter.empty or name == "config" or "RunnableConfig" in str(parameter.annotation):
            wanted[name] = config
    return wanted


def _runtime(access: AccessContext, context: Any, store: BaseStore) -> Any:
    """What the SDK calls a ServerRuntime: why the factory is called, and with what."""
    if access == "threads.create_run":
        return _ExecutionRuntime(access_context=access, store=store, context=context)
    return _ReadRuntime(access_context=access, store=store)
