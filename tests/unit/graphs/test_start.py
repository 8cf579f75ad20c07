"""What a graph is called with."""

import typing
from dataclasses import dataclass

import pytest
import typing_extensions
from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from deerflow.graphs.start import fitting_context, limit_steps


class State(typing.TypedDict, total=False):
    x: int


class Plain(typing.TypedDict, total=False):
    colour: str


class Extended(typing_extensions.TypedDict, total=False):
    colour: str


@dataclass
class Data:
    colour: str = "red"


class Model(BaseModel):
    colour: str = "red"


def compiled(context_schema=None):
    def node(_state: State):
        return {}

    return StateGraph(State, context_schema=context_schema).add_node(node).add_edge(START, "node").compile()


@pytest.mark.parametrize("schema", [Plain, Extended, Data, Model])
def test_context_keeps_the_keys_that_its_graph_knows(schema):
    """Whatever kind of class says them."""
    assert fitting_context(compiled(schema), {"colour": "blue", "unknown": 1}) == {"colour": "blue"}


def test_context_of_a_graph_without_schema_is_kept():
    assert fitting_context(compiled(), {"unknown": 1}) == {"unknown": 1}
    assert fitting_context(compiled(Data), {}) is None


@pytest.mark.parametrize(
    ("asked", "of_graph", "most", "steps"),
    [
        (5, None, 100, 5),
        (5, 7, 100, 5),
        (None, 7, 100, 7),
        (None, None, 100, 100),
        (None, 200, 100, 100),
        (None, None, 20_000, 10_007),
    ],
)
def test_steps_are_limited_wherever_the_limit_comes_from(asked, of_graph, most, steps):
    """The client's wins over the graph's, that over LangGraph's own; the server's is above all."""
    graph = compiled()
    if of_graph:
        graph = graph.with_config(recursion_limit=of_graph)
    config = {"configurable": {}} | ({"recursion_limit": asked} if asked else {})
    limit_steps(graph, config, most)
    assert config["recursion_limit"] == steps
