"""What an assistant's graph looks like, as a state worker in the test's own process tells it."""

import asyncio
import operator
import typing
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import typing_extensions
from flask.testing import FlaskClient
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.store.memory import InMemoryStore

from deerflow.api.mounts import MOUNTS
from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.graphs.registry import Graphs
from deerflow.runtime import ask
from deerflow.settings import Settings
from deerflow.storage import assistants
from tests.graphs import nested
from tests.integration.api.conftest import detail
from tests.integration.identity.answering import AnsweringBell

BROKEN = "Graph 'faulty' (./faulty.py:graph): ModuleNotFoundError: No module named 'nope'"
STORE = InMemoryStore()


class Odd:
    """What JSON has no word for."""


class Context(typing.TypedDict, total=False):
    colour: typing_extensions.Required[str]
    size: int


class Input(typing.TypedDict):
    said: str


class State(Input, total=False):
    log: Annotated[list[str], operator.add]
    odd: Odd


def first(_state: State) -> State:
    return {"said": "first"}


def second(_state: State) -> State:
    return {"said": "second"}


def choose(_state: State) -> str:
    return "second"


builder = StateGraph(State, context_schema=Context, input_schema=Input).add_node(first).add_node(second)
chosen = builder.add_edge(START, "first").add_conditional_edges("first", choose, ["second"]).compile()
outer = StateGraph(nested.State).add_node("middle", nested.asking).add_edge(START, "middle").compile()


async def factory(config: RunnableConfig, runtime: Any) -> Any:
    """One node, named by the configuration; fails, hangs and gives no graph when told to."""
    told = config["configurable"]
    assert runtime.access_context == "assistants.read"
    assert (told["graph_id"], told["assistant_id"]) == ("echo", told.get("itself", told["assistant_id"]))
    assert runtime.store is STORE
    if told.get("fails"):
        raise ValueError(told["fails"])
    if told.get("hangs"):
        await asyncio.sleep(60)
    if told.get("nothing"):
        return 7
    node = f"{told.get('node', 'plain')} of {told['user_id']}"
    return StateGraph(State).add_node(node, first).add_edge(START, node)


@pytest.fixture
def bell(settings: Settings) -> AnsweringBell:
    """A state worker with these graphs under names that langgraph.json has."""
    found = {"nested": outer, "steps": chosen, "echo": factory}
    savers = SimpleNamespace(store=lambda _owner: STORE)
    return AnsweringBell(settings.redis_url, None, graphs=Graphs(found, {"faulty": BROKEN}), savers=savers)


def of(graph_id: str) -> str:
    return f"/assistants/{system_assistant_id(graph_id)}"


def nodes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(node["id"] for node in answer.get_json()["nodes"])


PLAIN = ["__end__", "__start__", "middle"]
ONE = ["__end__", "__start__", "middle:after", "middle:child"]
ALL = ["__end__", "__start__", "middle:after", "middle:child:ask", "middle:child:inner"]


DEPTHS = {
    "": PLAIN, "?xray=false": PLAIN, "?xray=False": PLAIN, "?xray=true": ALL, "?xray=True": ALL, "?xray=1": ONE,
    "?xray=2": ALL,
}  # fmt: skip


def test_a_drawing_goes_as_deep_as_asked(web: FlaskClient) -> None:
    for xray, expected in DEPTHS.items():
        for mount in MOUNTS:
            assert nodes(web.get(f"{mount.prefix}{of('nested')}/graph{xray}")) == expected
        assert nodes(web.get(f"/assistants/nested/graph{xray}")) == expected


def test_a_drawing_is_the_references(web: FlaskClient) -> None:
    """protocol 2.2: no Python names, and conditional edges as such."""
    assert web.get(f"{of('steps')}/graph").get_json() == {
        "nodes": [
            {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
            {"id": "first", "type": "runnable", "data": {"name": "first"}},
            {"id": "second", "type": "runnable", "data": {"name": "second"}},
            {"id": "__end__"},
        ],
        "edges": [
            {"source": "__start__", "target": "first"},
            {"source": "first", "target": "second", "conditional": True},
            {"source": "second", "target": "__end__"},
        ],
    }


def test_other_depths_are_refused(web: FlaskClient, bell: AnsweringBell) -> None:
    for xray in ("0", "-1", "abc", "1.5", "9" * 40, "\u0661"):
        told = detail(web.get(f"{of('nested')}/graph", query_string={"xray": xray}), 422)
        assert told.startswith("Invalid xray value")
    assert bell.asked == []


def test_schemas_are_told_or_null(web: FlaskClient) -> None:
    """Of classes that pydantic refuses as well: before Python 3.12 ``typing.TypedDict`` is one."""
    told = web.get(f"{of('steps')}/schemas").get_json()
    colour, size = ({"title": name, "type": kind} for name, kind in (("Colour", "string"), ("Size", "integer")))
    context = {"properties": {"colour": colour, "size": size}, "required": ["colour"], "title": "Context"}
    said = {"properties": {"said": {"title": "Said", "type": "string"}}, "required": ["said"], "title": "Input"}
    assert told == {
        "graph_id": "steps",
        "input_schema": {**said, "type": "object"},
        "output_schema": None,
        "state_schema": None,
        "config_schema": {**context, "type": "object"},
        "context_schema": {**context, "type": "object"},
    }


def test_schemas_of_a_graph_without_a_context(web: FlaskClient) -> None:
    told = web.get(f"{of('nested')}/schemas").get_json()
    log = {"items": {"type": "string"}, "title": "Log", "type": "array"}
    state = {"properties": {"log": log}, "title": "State", "type": "object"}
    assert (told["input_schema"], told["output_schema"]) == (state, state)
    assert told["state_schema"]["properties"] == {"log": {**log, "default": None}}
    assert (told["config_schema"], told["context_schema"]) == ({}, None)


NAMESPACES: dict[str, list[str]] = {
    "": ["middle"],
    "?recurse=false": ["middle"],
    "?recurse=True": ["middle", "middle|child"],
    "/middle": ["middle"],
    "/middle%7Cchild?recurse=true": ["middle|child"],
    "/middle%7Cchild": [],
    "/mid": [],
    "/middle%2Fchild": [],
}


def test_subgraphs_by_namespace(web: FlaskClient) -> None:
    whole = web.get(f"{of('nested')}/schemas").get_json()
    for path, expected in NAMESPACES.items():
        found = web.get(f"{of('nested')}/subgraphs{path}").get_json()
        assert list(found) == expected, path
        assert all(set(each) == whole.keys() - {"graph_id"} for each in found.values())


def test_a_factory_is_told_what_the_assistant_is(web: FlaskClient) -> None:
    made = web.post("/assistants", json={"graph_id": "echo", "config": {"configurable": {"node": "mine"}}}).get_json()
    path = f"/assistants/{made['assistant_id']}"
    web.patch(path, json={"config": {"configurable": {"node": "mine", "itself": made["assistant_id"]}}})
    assert "mine of local" in nodes(web.get(f"{path}/graph"))
    assert "plain of local" in nodes(web.get("/assistants/echo/graph"))
    assert web.get(f"{path}/schemas").status_code == web.get(f"{path}/subgraphs").status_code == 200


def test_what_cannot_be_looked_at_is_said(web: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is broken, or a factory that fails with this configuration: never a 500, and never a hang."""
    with backend.db.begin() as tx:
        assistants.ensure_system(tx, {"gone": None})
    told = {
        ("faulty", "broken"): (503, BROKEN),
        ("chat", "missing in the worker"): (503, "Graph 'chat' is not in langgraph.json any more"),
        ("gone", "missing everywhere"): (422, "Graph 'gone' is not served any more"),
        ("echo", "fails"): (400, "no such model"),
        ("echo", "nothing"): (400, "Graph 'echo' cannot be looked at as this assistant has it"),
        ("echo", "hangs"): (503, "Graph 'echo' was not made in time"),
    }
    for (graph_id, kind), (status, words) in told.items():
        path = of(graph_id)
        if kind == "hangs":
            monkeypatch.setattr("deerflow.runtime.answer._TO_TELL_SECONDS", 5.0)
            monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 5.2)
        if graph_id == "echo":
            said = {"graph_id": "echo", "context": {kind: "no such model"}}
            path = f"/assistants/{web.post('/assistants', json=said).get_json()['assistant_id']}"
        for look in ("graph",) if kind == "hangs" else ("graph", "schemas", "subgraphs"):
            assert words in detail(web.get(f"{path}/{look}"), status), (graph_id, kind, look)


def test_without_a_state_worker_it_is_said(
    web: FlaskClient, bell: AnsweringBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 0.2)
    bell.away = True
    assert "state worker" in detail(web.get(f"{of('nested')}/schemas"), 503)
    for wrong in ("nope", "nested%0A"):
        assert "name of a graph" in detail(web.get(f"/assistants/{wrong}/graph"), 422)
