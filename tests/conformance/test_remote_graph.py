"""``RemoteGraph``, unmodified: a graph of this server that is used like a local one, also as a node of one."""

import asyncio
import operator
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client

from tests.conformance.cells import Cells
from tests.conformance.conftest import Flattened, heard, went_well
from tests.live import Live

HI = {"messages": [{"role": "user", "content": "hi"}]}
DONE = ["one", "two", "three", "four"]


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


class Remote:
    """Graphs of the server, called in one flavour: ``remote("steps").invoke`` is ``ainvoke`` in the async one."""

    def __init__(self, live: Live, prefix: str) -> None:
        self._prefix, self._loop = prefix, asyncio.new_event_loop()
        self.clients = (
            get_client(url=live.url, api_key=live.api_key),
            get_sync_client(url=live.url, api_key=live.api_key),
        )

    def graph(self, name: str) -> RemoteGraph:
        """As users make one."""
        return RemoteGraph(name, client=self.clients[0], sync_client=self.clients[1])

    def __call__(self, name: str) -> Any:
        return self.flat(self.graph(name))

    def flat(self, graph: Any) -> Any:
        """The methods of any graph."""
        return _Flavoured(Flattened(graph, self._loop), self._prefix)

    def close(self) -> None:
        """Both clients."""
        self.clients[1].http.client.close()
        self._loop.run_until_complete(self.clients[0].aclose())
        self._loop.close()


class _Flavoured:
    def __init__(self, flat: Flattened, prefix: str) -> None:
        self._flat, self._prefix = flat, prefix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flat, name if name == "within" else self._prefix + name)


@pytest.fixture(params=["sync", "async"])
def remote(live: Live, cells: Cells, request: pytest.FixtureRequest) -> Iterator[Remote]:
    """Remote graphs; what they call is noted in the table."""
    made = Remote(live, "a" if request.param == "async" else "")
    with heard(made.clients[0].http.client) as one, heard(made.clients[1].http.client) as other:
        yield made
    made.close()
    cells.record_calls("python-remotegraph", chain(one, other), ok=went_well(request.node))


@pytest.fixture
def config() -> RunnableConfig:
    """A thread that is made by its first run."""
    return {"configurable": {"thread_id": str(uuid4())}}


def test_invoke(remote: Remote, config: RunnableConfig) -> None:
    """Without a thread, and on one that goes on; config and context reach the graph."""
    assert remote("steps").invoke({"pause": 0.0})["done"] == DONE
    assert remote("steps").invoke({"pause": 0.0}, config)["done"] == DONE
    assert remote("steps").invoke({"pause": 0.0}, config)["done"] == DONE * 2
    told = remote("echo").invoke({}, {"tags": ["t"], "metadata": {"m": 1}}, context={"colour": "red"})["told"]
    assert (told["context"], told["tags"], told["metadata"]["m"]) == ({"colour": "red"}, ["t"], 1)


def test_stream_modes(remote: Remote) -> None:
    """One mode as it is, several named, messages in pieces."""
    updates = remote("steps").stream({"pause": 0.0}, stream_mode="updates")
    assert updates == [{name: {"done": [name]}} for name in DONE]
    told = remote("steps").stream({"pause": 0.0}, stream_mode=["values", "custom"])
    assert [part.data["step"] for part in told if part.event == "custom"] == DONE
    assert [part.data["done"] for part in told if part.event == "values"][-1] == DONE
    pieces = remote("chat").stream(HI, {"configurable": {"words": 2}}, stream_mode="messages")
    assert "".join(message["content"] for message, _ in pieces) == "w0 w1 "
    typed = remote("steps").stream({"pause": 0.0}, stream_mode=["values"], version="v2")
    assert (typed[-1]["type"], typed[-1]["ns"], typed[-1]["data"]["done"]) == ("values", (), DONE)


def test_stream_of_subgraphs(remote: Remote) -> None:
    """With the namespace of who speaks."""
    (inside, told), (outside, _) = remote("nested").stream({"log": []}, stream_mode="updates", subgraphs=True)
    assert inside[0].startswith("child:")
    assert (told, outside) == ({"inner": {"log": ["inner"]}}, ())


def test_stream_of_events(remote: Remote, config: RunnableConfig) -> None:
    """In the v2 protocol, which LangGraph calls v3 here."""
    graph = remote("agentic")
    with graph.within(graph.stream_events(HI, config, version="v3")) as run:
        assert ["".join(message.text) for message in run.messages] == ["Adding", "It is three."]
        output = run.output() if callable(run.output) else run.output
        assert len(output["messages"]) == 4


def test_state(remote: Remote, config: RunnableConfig) -> None:
    """Read, changed as one of its nodes, gone on from, and its past."""
    graph = remote("steps")
    graph.invoke({"pause": 0.0}, config, interrupt_before=["three"])
    state = graph.get_state(config)
    assert (state.values["done"], state.next) == (["one", "two"], ("three",))
    changed = graph.update_state(config, {"done": ["mine"]}, as_node="three")
    state = graph.get_state(changed)
    assert (state.values["done"], state.next) == (["one", "two", "mine"], ("four",))
    assert graph.invoke(None, config)["done"] == ["one", "two", "mine", "four"]
    history = graph.get_state_history(config)
    assert [past.values.get("done") for past in history][:3] == [
        ["one", "two", "mine", "four"], ["one", "two", "mine"], ["one", "two"],
    ]  # fmt: skip
    assert graph.get_state_history(config, limit=1, before=history[0].config) == history[1:2]
    chosen = history[2].config["configurable"]["checkpoint_id"]
    assert graph.invoke(None, config, checkpoint_id=chosen)["done"] == DONE


def test_state_with_subgraphs(remote: Remote, config: RunnableConfig) -> None:
    graph = remote("asking_inside")
    graph.invoke({"log": []}, config)
    (task,) = graph.get_state(config, subgraphs=True).tasks
    assert (task.name, task.state.values) == ("child", {"log": ["inner"]})


def test_drawing(remote: Remote) -> None:
    drawn = remote("asking_inside").get_graph(xray=True)
    assert set(drawn.nodes) == {"__start__", "child:inner", "child:ask", "after", "__end__"}
    assert "ask" in drawn.draw_mermaid()


def test_question_and_answer(remote: Remote, config: RunnableConfig) -> None:
    graph = remote("asking")
    asked = graph.invoke({"log": []}, config)
    (question,) = graph.get_state(config).interrupts
    assert question.value == asked["__interrupt__"][0]["value"] == {"question": "ok?"}
    assert graph.invoke(Command(resume="yes"), config) == {"log": ["before", "yes"]}


def test_failure(remote: Remote) -> None:
    with pytest.raises(RemoteException, match="boom happened"):
        remote("faulty").invoke({"kind": "told"})


def test_a_node_of_a_local_graph(remote: Remote, config: RunnableConfig) -> None:
    """Its question is the local graph's; the answer goes to the node's own thread; what it streams is heard here."""
    builder = StateGraph(Log).add_node("far", remote.graph("asking")).add_edge(START, "far")
    local = remote.flat(builder.compile(checkpointer=InMemorySaver()))
    (question,) = local.invoke({"log": []}, config)["__interrupt__"]
    assert question.value == {"question": "ok?"}
    assert remote("asking").invoke(Command(resume="yes"), config) == {"log": ["before", "yes"]}
    nested = StateGraph(Log).add_node("far", remote.graph("nested")).add_edge(START, "far").compile()
    told = remote.flat(nested).stream({"log": []}, stream_mode="updates", subgraphs=True)
    assert [update for _, update in told][-1] == {"far": {"log": ["inner"]}}
    assert any(len(namespace) > 1 for namespace, _ in told)
