"""The Python SDK's session on a thread, unmodified, over SSE and WebSocket: ``client.threads.stream()``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from langgraph_sdk.errors import NotFoundError

from tests.conformance.cells import Cells
from tests.conformance.conftest import Flattened, Sdk, went_well
from tests.conftest import wait_for
from tests.live import Live

HI = {"messages": [{"role": "user", "content": "hi"}]}
Session = Flattened
Open = Callable[..., AbstractContextManager[Session]]


@pytest.fixture(params=["sse", "websocket"])
def session(live: Live, sdk: Sdk, cells: Cells, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens sessions; a socket is none of the client's HTTP calls, so it is noted here."""
    sockets: list[str] = []

    @contextmanager
    def opened(assistant_id: str, thread_id: str | None = None) -> Iterator[Session]:
        manager = sdk.threads.stream(
            thread_id, assistant_id=assistant_id, transport=request.param, headers=live.headers, run_start_timeout=60
        )
        with sdk.within(manager) as found:
            yield found
        if request.param == "websocket":
            sockets.append(f"/threads/{found.thread_id}/stream/events")

    yield opened
    for path in sockets:
        client = f"python-{request.node.callspec.params['sdk']}"
        cells.record(client, "GET", path, ok=went_well(request.node))


@contextmanager
def started(session: Open, assistant_id: str = "agentic", given: Any = HI) -> Iterator[Session]:
    """A session whose first run has just been started: the SDK reads one channel of it, while it goes on."""
    with session(assistant_id) as found:
        assert set(found.run.start(input=given, metadata={"m": 1})) == {"run_id"}
        yield found


def test_an_agent_in_all_that_is_told_of_it(session: Open) -> None:
    """Messages in pieces, values, calls of tools, several of them at once."""
    with started(session) as found:
        pieces = [list(message.text) for message in found.messages]
        assert pieces == [["Adding"], ["It is ", "three."]]
        assert [message["type"] for message in found.output["messages"]] == ["human", "ai", "tool", "ai"]
    with started(session) as found:
        assert [len(values.get("messages", [])) for values in found.values][-3:] == [2, 3, 4]
    with started(session) as found:
        (call,) = found.tool_calls
        assert (call.name, call.input, call.error, call.output["content"]) == ("add", {"a": 1, "b": 2}, None, "3")
        assert list(call.deltas) == ["almost"]
    with started(session) as found:
        told = found.interleave_projections(["values", "messages", "tool_calls"])
        assert [name for name, _ in told if name != "values"] == ["messages", "tool_calls", "messages"]


def test_events_as_they_are(session: Open, sdk: Sdk) -> None:
    """Those of one channel end with the run; those of all have no end."""
    with started(session, "agentic_masked") as found:
        assert [each["payload"]["count"] for each in found.extensions["pieces"]] == [1, 2, 3]
    with started(session) as found:
        (event,) = found.subscribe(["custom"])
        assert event["params"]["data"] == {"payload": {"adding": [1, 2]}}
        run = sdk.runs.get(found.thread_id, event["event_id"].split(":")[0])
        assert (run["status"], run["metadata"]["m"]) == ("success", 1)
    with started(session) as found:
        first = next(each for each in found.taking(3).events if each.get("method"))  # a socket's answers come as well
        assert (first["method"], first["params"]["data"]["event"]) == ("lifecycle", "running")
        assert first["event_id"].startswith("synth:")


def test_subgraphs(session: Open) -> None:
    with session("nested") as found:
        names = {node["id"] for node in found.agent.get_tree(xray=True)["nodes"]}
        assert names == {"__start__", "child:inner", "__end__"}
    with started(session, "nested", {"log": []}) as found:
        (child,) = found.subgraphs
        assert child.path[0].startswith("child:")
        assert found.output == {"log": ["inner"]}


def test_question_and_answer(session: Open) -> None:
    """A run that asks is a pause; the answer goes on with it, also by somebody who came later."""
    with started(session, "asking", {"log": []}) as found:
        wait_for(lambda: found.interrupted, what="the question")
        (asked,) = found.interrupts
        assert asked["value"] == {"question": "ok?"}
    with session("asking", found.thread_id) as later:
        wait_for(lambda: later.interrupted, what="the question")
        later.run.respond("yes", interrupt_id=asked["interrupt_id"])
        assert later.output == {"log": ["before", "yes"]}


def test_what_fails(session: Open, sdk: Sdk) -> None:
    """A run's failure, and a command that is refused, are told in words; a thread is made by its first run only."""
    with started(session, "faulty", {"kind": "told"}) as found, pytest.raises(RuntimeError, match="boom happened"):
        _ = found.output
    with session("no such graph") as found, pytest.raises(RuntimeError, match="no such graph"):
        found.run.start(input={})
    with pytest.raises(NotFoundError):
        sdk.threads.get(found.thread_id)
