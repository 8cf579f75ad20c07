"""How an attempt of a run starts: with what the client asked for, or from where an earlier attempt had come to.

A run whose worker died is resumed from the newest checkpoint that it wrote itself. If it wrote none it starts again
with the same input or command at the same checkpoint; what a command has already left there (the answers to
interrupts) is written again with the same result.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph._internal._config import ensure_config  # the default of the recursion limit is told nowhere else
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command, Send
from pydantic import PydanticUserError

from deerflow.domain.claims import ANONYMOUS, told_of
from deerflow.domain.runs import Run
from deerflow.graphs.caller import Caller
from deerflow.graphs.registry import Graph


@dataclass(frozen=True)
class Start:
    """What a graph is called with."""

    input: Any
    config: RunnableConfig


async def find_start(graph: Graph, saver: BaseCheckpointSaver[Any], run: Run) -> Start | None:
    """How this attempt starts; None when an earlier one had reached a breakpoint and only its finish is missing."""
    if run.attempt == 1 or not await _has_own_checkpoint(saver, run):
        return Start(_asked(run.kwargs), run_config(run, run.kwargs.get("checkpoint")))
    if await _stands_at_breakpoint(graph, run):
        return None
    return Start(None, run_config(run, None))


def run_config(run: Run, checkpoint: dict[str, Any] | None = None) -> RunnableConfig:
    """The config that a run was created with; ids that the server decides win over the client's.

    *checkpoint*: where to start instead of at the newest one.
    """
    asked, caller = dict(run.kwargs.get("config") or {}), known_of(run.kwargs.get("user"), run.owner)
    ids = {
        "run_id": str(run.run_id),
        "thread_id": str(run.thread_id),
        "graph_id": run.graph_id,
        "assistant_id": str(run.assistant_id),
        "user_id": caller["user_id"],
    }
    asked["configurable"] = {**asked.get("configurable", {}), **(checkpoint or {}), **caller, **ids}
    asked["metadata"] = {**asked.get("metadata", {}), **run.metadata, **ids, "run_attempt": run.attempt}
    if run.attempt == 1:
        asked["run_id"] = run.run_id
    return asked  # type: ignore[return-value]


def known_of(user: dict[str, Any] | None, owner: str) -> dict[str, Any]:
    """What a graph learns of its caller in ``configurable``."""
    if user is None:
        return {**ANONYMOUS, "user_id": owner}
    return {**told_of(Caller(user)), "user_id": user["identity"]}


def limit_steps(graph: Graph, config: RunnableConfig, most: int) -> None:
    """Let a run take no more than *most* steps, wherever its recursion limit comes from: client, graph or LangGraph."""
    config["recursion_limit"] = min(ensure_config(graph.config, config)["recursion_limit"], most)


def fitting_context(graph: Graph, context: dict[str, Any] | None) -> dict[str, Any] | None:
    """The keys of a context that its graph knows: clients send the same context to graphs of every kind."""
    if not context or graph.context_schema is None:
        return context or None
    known = _known_keys(graph)
    return context if known is None else {key: value for key, value in context.items() if key in known}


def _known_keys(graph: Graph) -> Collection[str] | None:
    """What a graph's context may hold; None when that cannot be told."""
    try:
        return (graph.get_context_jsonschema() or {}).get("properties")
    except PydanticUserError:  # not every class can be described: before Python 3.12 typing.TypedDict cannot
        return getattr(graph.context_schema, "__annotations__", None)


def _asked(kwargs: dict[str, Any]) -> Any:
    """The command, which wins, or the input."""
    command = kwargs.get("command")
    return to_command(command) if command else kwargs["input"]


def to_command(command: dict[str, Any]) -> Command[Any]:
    """A command as clients write it."""
    update = command.get("update")
    return Command(
        update=[tuple(pair) for pair in update] if isinstance(update, list) else update,
        resume=command.get("resume"),
        goto=_goto(command.get("goto")),
    )


def _goto(asked: Any) -> Any:
    """A node, a node with an input of its own, or several of either."""
    if isinstance(asked, list):
        return [_goto(one) for one in asked]
    return Send(asked["node"], asked.get("input")) if isinstance(asked, dict) else asked or ()


async def _has_own_checkpoint(saver: BaseCheckpointSaver[Any], run: Run) -> bool:
    head = await saver.aget_tuple({"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}})
    return head is not None and head.metadata.get("run_id") == str(run.run_id)


async def _stands_at_breakpoint(graph: Graph, run: Run) -> bool:
    """Whether the thread's head is where ``interrupt_before`` or ``interrupt_after`` of this run stop it."""
    before, after = run.kwargs.get("interrupt_before") or [], run.kwargs.get("interrupt_after") or []
    if not before and not after:
        return False
    head = await graph.aget_state({"configurable": {"thread_id": str(run.thread_id)}})
    if not head.next:
        return False
    if _names(before, head.next):
        return True
    if head.parent_config is None or (head.metadata or {}).get("source") != "loop":
        return False
    parent = await graph.aget_state(head.parent_config)
    return _names(after, parent.next)


def _names(breakpoints: Any, nodes: tuple[str, ...]) -> bool:
    return bool(nodes) and (breakpoints == "*" or bool(set(breakpoints) & set(nodes)))
