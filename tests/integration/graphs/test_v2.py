"""What a run says in the v2 protocol, envelope by envelope, with checkpoints in both databases."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage
from langgraph.config import get_stream_writer
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.graphs import jsonable
from deerflow.graphs.registry import Graph
from deerflow.graphs.savers import Savers
from deerflow.graphs.start import run_config
from deerflow.graphs.stream import Performance
from tests.factories import make_running
from tests.graphs import agentic, asking, faulty, nested, steps, two_questions
from tests.integration.graphs.conftest import Act, open_gate

_ID = re.compile(r"(lc_run--)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")

ROOT: list[str] = []
HI = {"type": "human", "content": "hi", "id": "h1"}


@dataclass
class Said:
    """What one attempt has said: method, namespace, data and node of each event, with ids numbered as they come."""

    events: list[tuple[str, list[str], Any, str | None]] = field(default_factory=list)
    last_values: Any = None
    error: Exception | None = None

    def of(self, *methods: str) -> list[tuple[Any, ...]]:
        """Method, namespace and data of these."""
        return [tuple(event[:3]) for event in self.events if event[0] in methods]

    def data(self, method: str) -> list[Any]:
        """The data of this one."""
        return [event[2] for event in self.events if event[0] == method]


def _numbered(events: list[Any]) -> list[Any]:
    names: dict[str, str] = {}
    text = orjson.dumps(events).decode()
    return orjson.loads(_ID.sub(lambda found: names.setdefault(found[0], f"<{len(names) + 1}>"), text))


async def perform(graph: Graph, run: Run, savers: Savers, *, most_steps: int) -> Said:
    """Play a run in the v2 protocol, as a worker does."""
    saver = await savers.for_run(run.thread_id, run.fence, open_gate(), run_id=run.run_id)
    store = savers.store_for_run(run.owner, run.thread_id, run.fence, open_gate())
    performance = Performance(graph.with_config(run_config(run)), run, saver, store, most_steps=most_steps)
    said, events = Said(), []
    try:
        async for event in performance.events():
            told = orjson.loads(jsonable.dumps(event.data))
            if event.name.startswith("v2:"):
                events.append((event.name.removeprefix("v2:"), told["namespace"], told["data"], told.get("node")))
    except Exception as error:  # noqa: BLE001 - as much is part of what it did
        said.error = error
    return replace(said, events=_numbered(events), last_values=performance.last_values)


def start(message: str, index: int, content: dict[str, Any]) -> dict[str, Any]:
    """A content block begins."""
    return {"event": "content-block-start", "id": message, "index": index, "content": content}


def delta(message: str, index: int, kind: str, key: str, text: str) -> dict[str, Any]:
    """It goes on."""
    return {"event": "content-block-delta", "id": message, "index": index, "delta": {"type": kind, key: text}}


def finish(message: str, index: int, content: dict[str, Any]) -> dict[str, Any]:
    """It ends."""
    return {"event": "content-block-finish", "id": message, "index": index, "content": content}


@pytest.fixture
def play(backend: Backend, run: Callable[[Act], None]) -> Callable[..., Said]:
    """Play a run of a graph on a thread of its own."""

    def go(graph: Graph, given: Any = None, *, most_steps: int = 100, **kwargs: Any) -> Said:
        said: list[Said] = []
        row = make_running(backend, input=given)
        row = replace(row, kwargs={**row.kwargs, "protocol": "v2", **kwargs})

        async def act(savers: Savers, _other: Savers) -> None:
            said.append(await perform(graph, row, savers, most_steps=most_steps))

        run(act)
        return said[0]

    return go


def test_an_agent_is_told_word_by_word_with_its_tools(play: Callable[..., Said]) -> None:
    """Reasoning, text and a tool call grow; the tool says how it gets on; its result is mirrored under its call."""
    said = play(agentic.graph, {"messages": [HI]})
    call = {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1, "b": 2}}
    thought = {"type": "reasoning", "reasoning": "Let me add.", "index": 0}
    text = {"type": "text", "text": "Adding", "index": 1}
    result = {"type": "tool", "content": "3", "name": "add", "tool_call_id": "c1", "status": "success"}
    dumped = {"additional_kwargs": {}, "response_metadata": {}, "id": None, "artifact": None}
    first, second = (data["id"] for data in said.data("messages") if data.get("role") == "ai")
    calling = {"type": "ai", "content": [thought, text], "id": first, "tool_calls": [call]}
    results = [data["messages"][2] for data in said.data("values") if len(data["messages"]) > 2]
    so_far = [HI, calling, {**result, "id": results[0]["id"], "artifact": None}]
    answer = {"type": "ai", "content": "It is three.", "id": second}
    begun = {"type": "tool_call_chunk", "id": "c1", "name": "add", "args": "", "index": 2}
    assert said.of("messages", "tools", "custom", "values") == [
        ("values", ROOT, {"messages": [HI]}),
        ("messages", ROOT, {"event": "message-start", "role": "ai", "id": first}),
        ("messages", ROOT, start(first, 0, {"type": "reasoning", "reasoning": ""})),
        ("messages", ROOT, delta(first, 0, "reasoning-delta", "reasoning", "Let me ")),
        ("messages", ROOT, delta(first, 0, "reasoning-delta", "reasoning", "add.")),
        ("messages", ROOT, start(first, 1, {"type": "text", "text": ""})),
        ("messages", ROOT, delta(first, 1, "text-delta", "text", "Adding")),
        ("messages", ROOT, start(first, 2, begun)),
        ("messages", ROOT, delta(first, 2, "tool-call-delta", "args", '{"a": 1, ')),
        ("messages", ROOT, delta(first, 2, "tool-call-delta", "args", '"b": 2}')),
        ("messages", ROOT, finish(first, 0, thought)),
        ("messages", ROOT, finish(first, 1, text)),
        ("messages", ROOT, finish(first, 2, call)),
        ("messages", ROOT, {"event": "message-finish", "id": first, "usage": agentic.USAGE}),
        ("values", ROOT, {"messages": [HI, calling]}),
        ("tools", ROOT, {"event": "tool-started", "tool_call_id": "c1", "tool_name": "add", "input": call["args"]}),
        ("custom", ROOT, {"payload": {"adding": [1, 2]}}),
        ("tools", ROOT, {"event": "tool-output-delta", "tool_call_id": "c1", "delta": "almost"}),
        ("tools", ROOT, {"event": "tool-finished", "tool_call_id": "c1", "output": {**result, **dumped}}),
        ("messages", ["tools:c1"], {"event": "message-start", "role": "tool", "id": "tool-c1", "tool_call_id": "c1"}),
        ("messages", ["tools:c1"], start("tool-c1", 0, {"type": "text", "text": ""})),
        ("messages", ["tools:c1"], delta("tool-c1", 0, "text-delta", "text", "3")),
        ("messages", ["tools:c1"], finish("tool-c1", 0, {"type": "text", "text": "3"})),
        ("messages", ["tools:c1"], {"event": "message-finish", "id": "tool-c1"}),
        ("values", ROOT, {"messages": so_far}),
        ("messages", ROOT, {"event": "message-start", "role": "ai", "id": second}),
        ("messages", ROOT, start(second, 0, {"type": "text", "text": ""})),
        ("messages", ROOT, delta(second, 0, "text-delta", "text", "It is ")),
        ("messages", ROOT, delta(second, 0, "text-delta", "text", "three.")),
        ("messages", ROOT, finish(second, 0, {"type": "text", "text": "It is three."})),
        ("messages", ROOT, {"event": "message-finish", "id": second}),
        ("values", ROOT, {"messages": [*so_far, answer]}),
    ]
    assert {event[3] for event in said.events if event[0] == "messages" and event[1] == ROOT} == {"agent"}


def test_a_checkpoint_is_told_just_before_its_values(play: Callable[..., Said]) -> None:
    """Clients take a fork's origin from the pair: the values' checkpoint and its parent."""
    said = play(steps.graph, {"done": []})
    told = [event for event in said.events if event[0] in {"checkpoints", "values"}]
    assert [method for method, *_ in told] == ["checkpoints"] + ["checkpoints", "values"] * 5
    light = said.data("checkpoints")
    assert [(point["step"], point["source"]) for point in light] == [(-1, "input"), *((i, "loop") for i in range(5))]
    assert "parent_id" not in light[0]
    assert [point["parent_id"] for point in light[1:]] == [point["id"] for point in light[:-1]]
    assert said.data("values")[-1] == {"done": ["one", "two", "three", "four"]}
    assert [(node, data) for method, _, data, node in said.events if method == "updates"] == [
        (name, {"done": [name]}) for name in ("one", "two", "three", "four")
    ]
    assert said.data("custom") == [{"payload": {"step": name}} for name in ("one", "two", "three", "four")]
    assert [(node, "result" in data) for method, _, data, node in said.events if method == "tasks"] == [
        (name, ended) for name in ("one", "two", "three", "four") for ended in (False, True)
    ]


def test_a_step_without_a_checkpoint_keeps_none_of_its_values_back(play: Callable[..., Said]) -> None:
    """A subgraph that has no checkpoints tells its values all the same, before its end is told."""
    child = StateGraph(steps.State).add_node("one", lambda _: {"done": ["one"]}).add_edge(START, "one")
    parent = StateGraph(steps.State).add_node("child", child.compile(checkpointer=False)).add_edge(START, "child")
    said = play(parent.compile(), {"done": []})
    inside = [(method, data) for method, namespace, data, _ in said.events if namespace]
    assert [method for method, _ in inside if method in {"checkpoints", "lifecycle", "values"}] == [
        "values", "lifecycle", "values", "lifecycle"
    ]  # fmt: skip
    assert [data for method, data in inside if method == "values"] == [{"done": []}, {"done": ["one"]}]


def test_a_subgraph_is_told_in_its_namespace_and_asks_there_once(play: Callable[..., Said]) -> None:
    """It begins, asks, and is interrupted; the graph that passes the question on does not ask again."""
    said = play(nested.asking, {"log": []})
    (inside,) = {tuple(namespace) for _, namespace, _, _ in said.events if namespace}
    task = inside[0].removeprefix("child:")
    named = {"namespace": list(inside), "graph_name": "child"}
    (asked,) = said.data("input.requested")
    assert said.of("values", "input.requested", "lifecycle") == [
        ("values", ROOT, {"log": []}),
        ("values", [*inside], {"log": []}),
        ("lifecycle", [*inside], {"event": "started", **named, "trigger_call_id": task}),
        ("values", [*inside], {"log": ["inner"]}),
        ("values", [*inside], {"log": ["inner"]}),
        ("input.requested", [*inside], {"interrupt_id": asked["interrupt_id"], "payload": "inside?"}),
        ("values", ROOT, {"log": []}),
        ("lifecycle", [*inside], {"event": "interrupted", **named}),
    ]
    assert [interrupt.value for interrupt in said.last_values["__interrupt__"]] == ["inside?"]


def test_each_of_two_questions_is_asked_after_its_values(play: Callable[..., Said]) -> None:
    """Two nodes ask at the same time."""
    said = play(two_questions.graph, {"log": []})
    told = said.of("values", "input.requested")
    assert [method for method, *_ in told] == ["values", "values", "input.requested", "values", "input.requested"]
    assert sorted(data["payload"] for data in said.data("input.requested")) == ["left?", "right?"]
    assert len({data["interrupt_id"] for data in said.data("input.requested")}) == 2
    assert all("__interrupt__" not in data for data in said.data("values") + said.data("updates"))


def test_a_breakpoint_asks_nothing(play: Callable[..., Said]) -> None:
    """The graph stops before a node; there is nobody's question to answer."""
    said = play(asking.graph, {"log": []}, interrupt_before=["ask"])
    assert [data for method, _, data, _ in said.events if method in {"values", "input.requested"}] == [
        {"log": []}, {"log": ["before"]}
    ]  # fmt: skip
    assert "__interrupt__" not in said.last_values


def test_a_failure_ends_what_was_under_way(play: Callable[..., Said]) -> None:
    """The error comes out as it does of every run; of a subgraph that it ended no more is told than may be known."""
    outer = StateGraph(faulty.State).add_node("inside", faulty.graph).add_edge(START, "inside").compile()
    said = play(outer, {"kind": "secret"})
    assert isinstance(said.error, faulty.OurOwnError)
    ends = [data for data in said.data("lifecycle") if data["event"] != "started"]
    assert [(end["event"], end["error"]) for end in ends] == [("failed", "An internal error occurred")]
    assert "secret connection" not in orjson.dumps(said.events).decode()


def test_the_last_step_that_a_run_may_take_is_told(play: Callable[..., Said]) -> None:
    """It has no checkpoint told after it."""
    said = play(steps.graph, {"done": []}, most_steps=2)
    assert isinstance(said.error, GraphRecursionError)
    assert said.data("values") == [{"done": []}, {"done": ["one"]}, {"done": ["one", "two"]}]


def test_models_that_speak_at_the_same_time_can_be_told_apart(play: Callable[..., Said]) -> None:
    """JavaScript's client goes by ``run_id`` where two messages of a namespace are under way."""
    said = play(agentic.alone(agentic.duet), {"messages": [HI]})
    ids = [data["id"] for data in said.data("messages") if data["event"] == "message-start"]
    spoken = dict.fromkeys(ids, "")
    for data in said.data("messages"):
        if data["event"] == "content-block-delta":
            spoken[data["id"]] += data["delta"]["text"]
            assert data.get("run_id", ids[0]) == data["id"]
    assert list(spoken.values()) == ["la0 la1 ", "lu0 lu1 "]
    finished = [data["id"] for data in said.data("messages") if data["event"] == "message-finish"]
    assert sorted(finished) == sorted(ids)


def test_a_message_that_nobody_listens_to_ends_with_its_node(play: Callable[..., Said]) -> None:
    """A node may leave its model in the middle; the message that it makes of that is another one."""
    said = play(agentic.alone(agentic.impatient), {"messages": [HI]})
    starts = [data["id"] for data in said.data("messages") if data["event"] == "message-start"]
    assert len(starts) == 2
    assert starts[1] == "cut"
    assert [data["id"] for data in said.data("messages") if data["event"] == "message-finish"] == ["cut", starts[0]]
    methods = [method for method, *_ in said.events]
    assert methods[len(methods) - methods[::-1].index("messages") :] == ["tasks", "checkpoints", "values"]


def test_a_model_that_fails_leaves_its_message_with_an_error(play: Callable[..., Said]) -> None:
    """What it had said until then was heard."""
    said = play(agentic.alone(agentic.breaking), {"messages": [HI]})
    texts = [data["delta"]["text"] for data in said.data("messages") if "delta" in data]
    assert texts == ["It is ", "three."]
    message = said.data("messages")[0]["id"]
    assert said.data("messages")[-1] == {"event": "error", "id": message, "message": "The model hangs up"}
    assert str(said.error) == "The model hangs up"


def test_transformers_of_a_graph_change_drop_and_add_events(play: Callable[..., Said]) -> None:
    """What they say has their channel's name; what the run leaves is not theirs to change."""
    said = play(agentic.masked, {"messages": [HI]})
    assert said.error is None
    texts = [
        data["delta"]["text"] for data in said.data("messages") if data.get("delta", {}).get("type") == "text-delta"
    ]
    assert texts == ["Adding", "3", "It is ", "***."]
    assert said.data("updates") == []
    assert [data for data in said.data("custom") if "name" in data] == [
        {"name": "pieces", "payload": {"count": count}} for count in (1, 2, 3)
    ]
    assert said.last_values["messages"][-1].content == "It is three."
    assert [data["event"] for data in said.data("tools")] == ["tool-started", "tool-output-delta", "tool-finished"]


def test_a_failure_passes_through_transformers(play: Callable[..., Said]) -> None:
    """The run fails as it does without them, and what it said before is told."""
    said = play(agentic.alone(agentic.breaking, transformers=[agentic.Masking]), {"messages": [HI]})
    assert isinstance(said.error, ValueError)
    message = said.data("messages")[0]["id"]
    assert said.data("messages")[-1] == {"event": "error", "id": message, "message": "The model hangs up"}


def test_values_hold_plain_messages_only(play: Callable[..., Said]) -> None:
    """A piece of a message in the state is a message, and so is a removal; what JSON has no word for is replaced."""

    def one(_state: MessagesState) -> dict[str, Any]:
        get_stream_writer()({"nul": "a\x00b", "nan": float("nan"), "message": AIMessage("said", id="s")})
        return {
            "messages": [AIMessageChunk("whole", id="a1", response_metadata={"stop": "end"}), HumanMessage("u", id="u")]
        }

    def two(_state: MessagesState) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id="u")]}

    builder = StateGraph(MessagesState).add_node(one).add_node(two).add_edge(START, "one").add_edge("one", "two")
    said = play(builder.compile(), {"messages": [HI]})
    whole = {"type": "ai", "content": "whole", "id": "a1", "response_metadata": {"stop": "end"}}
    assert said.data("values")[1:] == [
        {"messages": [HI, whole, {"type": "human", "content": "u", "id": "u"}]},
        {"messages": [HI, whole]},
    ]
    assert said.data("updates")[1] == {"messages": [{"type": "remove", "content": "", "id": "u"}]}
    told = {"nul": "a\ufffdb", "nan": None, "message": {"type": "ai", "content": "said", "id": "s"}}
    assert said.data("custom") == [{"payload": told}]
    assert (
        "AIMessageChunk" not in orjson.dumps(said.data("values") + said.data("updates") + said.data("tasks")).decode()
    )


def test_the_state_is_what_a_classic_run_leaves(play: Callable[..., Said]) -> None:
    """The protocol changes what is told and nothing else: classic clients read the same messages afterwards."""
    v2, classic = (
        play(agentic.graph, {"messages": [HI]}, protocol=protocol, stream_mode=["messages-tuple"])
        for protocol in ("v2", None)
    )
    contents = [[message.content for message in said.last_values["messages"]] for said in (v2, classic)]
    assert contents[0] == contents[1]
    assert contents[0][-1] == "It is three."
    assert all("output_version" not in message.response_metadata for message in v2.last_values["messages"])
