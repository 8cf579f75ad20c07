"""What a graph looks like: its drawing, and the JSON schemas of what it takes, keeps and gives."""

import logging
from collections.abc import Callable
from typing import Any, get_type_hints, is_typeddict

import typing_extensions
from langgraph.pregel import Pregel
from pydantic import TypeAdapter, create_model

from deerflow.graphs import jsonable
from deerflow.graphs.registry import Graph

log = logging.getLogger(__name__)

_NAMES = ("input_schema", "output_schema", "state_schema", "config_schema", "context_schema")


class OutlineRefused(ValueError):
    """A graph cannot be made with an assistant's configuration, or not be looked at."""


async def draw(graph: Graph, *, xray: bool | int) -> dict[str, Any]:
    """Nodes and edges in LangChain's form, without the Python names of what the nodes are made of."""
    drawn = (await graph.aget_graph(xray=xray)).to_json()
    for node in drawn["nodes"]:
        if isinstance(node.get("data"), dict):
            node["data"].pop("id", None)
    return jsonable.to_plain(drawn)  # type: ignore[no-any-return]


async def subgraphs(graph: Graph, *, namespace: str | None, recurse: bool) -> dict[str, Any]:
    """The schemas of a graph's subgraphs by namespace; empty when there are none, or none of this namespace."""
    found = graph.aget_subgraphs(namespace=namespace, recurse=recurse)
    return {name: schemas(each) async for name, each in found}


def schemas(graph: Any) -> dict[str, Any]:
    """Each schema by its name; None where there is none, or where it cannot be told: of a graph on another server."""
    if not isinstance(graph, Pregel):
        return dict.fromkeys(_NAMES)
    builder = getattr(graph, "builder", None)
    context = _told(graph.get_context_jsonschema, graph.context_schema)
    told = {
        "input_schema": _told(graph.get_input_jsonschema, getattr(builder, "input_schema", None)),
        "output_schema": _told(graph.get_output_jsonschema, getattr(builder, "output_schema", None)),
        "state_schema": _told(lambda: _state(graph), None),
        "config_schema": {} if graph.context_schema is None else context,
        "context_schema": context,
    }
    return jsonable.to_plain(told)  # type: ignore[no-any-return]


def _told(tell: Callable[[], dict[str, Any] | None], described: Any) -> dict[str, Any] | None:
    """A schema; *described* is the class that it is of, for the case that it has to be told in another way."""
    try:
        return tell()
    except Exception:  # there are as many reasons as there are types that JSON has no word for
        log.debug("A graph does not tell a schema", exc_info=True)
    try:
        return TypeAdapter(_again(described)).json_schema() if is_typeddict(described) else None
    except Exception:
        log.debug("Nor does its class", exc_info=True)
        return None


def _again(described: Any) -> Any:
    """The same class for pydantic, which takes ``typing.TypedDict`` from Python 3.12 on only."""
    hints, required = get_type_hints(described, include_extras=True), described.__required_keys__
    fields = {name: hint if name in required else typing_extensions.NotRequired[hint] for name, hint in hints.items()}
    made: Any = typing_extensions.TypedDict
    return made(described.__name__, fields)


def _state(graph: Graph) -> dict[str, Any]:
    """All that a graph keeps from step to step."""
    channels: dict[str, Any] = {name: graph.channels[name] for name in graph.stream_channels_list}
    kept: dict[str, Any] = {name: (channel.UpdateType, None) for name, channel in channels.items()}
    return dict(create_model(f"{graph.name}_state", **kept).model_json_schema())
