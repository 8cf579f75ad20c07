"""A thread's state and history, and edits of it."""

from itertools import pairwise
from typing import Any

import pytest
from langgraph_sdk.client import SyncLangGraphClient

from tests.live import Live


@pytest.fixture
def client(live: Live) -> SyncLangGraphClient:
    return live.client()


@pytest.fixture
def thread(client: SyncLangGraphClient) -> str:
    """A thread on which ``steps`` has run."""
    thread = str(client.threads.create()["thread_id"])
    client.runs.wait(thread, "steps", input={})
    return thread


def test_history_is_newest_first(client: SyncLangGraphClient, thread: str) -> None:
    """Each state with its parent; pages by ``before``, as an object and in the SDK's shape."""
    history = client.threads.get_history(thread, limit=20)
    assert [state["next"] for state in history] == [[], ["four"], ["three"], ["two"], ["one"], ["__start__"]]
    for newer, older in pairwise(history):
        assert newer["parent_checkpoint"]["checkpoint_id"] == older["checkpoint"]["checkpoint_id"]
    assert history[-1]["parent_checkpoint"] is None
    page = client.threads.get_history(thread, limit=2, before=history[1]["checkpoint"])
    assert page == history[2:4]


def test_history_for_curl(live: Live, client: SyncLangGraphClient, thread: str) -> None:
    """GET with a limit and a checkpoint id; POST's limit is 1 unless asked for."""
    history = client.threads.get_history(thread, limit=20)
    before = history[1]["checkpoint"]["checkpoint_id"]
    found = live.http().get(f"/threads/{thread}/history", params={"limit": 2, "before": before}).json()
    assert found == history[2:4]
    assert live.http().post(f"/threads/{thread}/history", json={}).json() == history[:1]
    js = {"limit": 2, "before": {"configurable": {"checkpoint_id": before}}}
    assert live.http().post(f"/threads/{thread}/history", json=js).json() == history[2:4]


def test_history_by_metadata(client: SyncLangGraphClient, thread: str) -> None:
    """Only checkpoints whose metadata holds what is asked for."""
    found = client.threads.get_history(thread, limit=20, metadata={"source": "input"})
    assert [state["next"] for state in found] == [["__start__"]]


def test_state_at_a_checkpoint(live: Live, client: SyncLangGraphClient, thread: str) -> None:
    """By id, by object; an unknown one is empty and echoes the id."""
    wanted = client.threads.get_history(thread, limit=20)[2]
    assert client.threads.get_state(thread, checkpoint=wanted["checkpoint"]) == wanted
    by_id = live.http().get(f"/threads/{thread}/state/{wanted['checkpoint_id']}").json()
    assert by_id == wanted
    unknown = live.http().get(f"/threads/{thread}/state/00000000-0000-6000-8000-000000000000").json()
    assert unknown["values"] == {}
    assert unknown["checkpoint"]["checkpoint_id"] == "00000000-0000-6000-8000-000000000000"
    assert live.http().get(f"/threads/{thread}/state/zz").status_code == 422


def test_edit_is_a_new_checkpoint(client: SyncLangGraphClient, thread: str) -> None:
    """scenario 19: as a node it decides what runs next; the thread's row follows."""
    before = client.threads.get_state(thread)
    written = client.threads.update_state(thread, {"done": ["edited"]}, as_node="two")
    after = client.threads.get_state(thread)
    assert after["checkpoint"]["checkpoint_id"] == written["checkpoint"]["checkpoint_id"]
    assert after["checkpoint"]["checkpoint_id"] != before["checkpoint"]["checkpoint_id"]
    assert after["next"] == ["three"]
    assert after["values"]["done"][-1] == "edited"
    row = client.threads.get(thread)
    assert (row["status"], row["values"]) == ("interrupted", after["values"])
    assert client.runs.wait(thread, "steps", input=None)["done"][-3:] == ["edited", "three", "four"]


def test_edit_at_an_older_checkpoint_is_a_fork(client: SyncLangGraphClient, thread: str) -> None:
    """The new state descends from the one that was named."""
    older = client.threads.get_history(thread, limit=20)[2]
    client.threads.update_state(thread, {"done": ["fork"]}, as_node="two", checkpoint=older["checkpoint"])
    state = client.threads.get_state(thread)
    assert state["parent_checkpoint"]["checkpoint_id"] == older["checkpoint"]["checkpoint_id"]
    assert state["values"]["done"] == ["one", "two", "fork"]


def test_edit_without_values_copies(client: SyncLangGraphClient, thread: str) -> None:
    """values: null is a legal copy of the checkpoint."""
    before = client.threads.get_state(thread)
    client.threads.update_state(thread, None)
    after = client.threads.get_state(thread)
    assert after["values"] == before["values"]
    assert after["checkpoint"] != before["checkpoint"]


def test_edit_during_a_run_is_refused(live: Live, client: SyncLangGraphClient, thread: str) -> None:
    """scenario 18: 409, and the state is the run's alone."""
    run = client.runs.create(thread, "steps", input={"pause": 5.0})
    answer = live.http().post(f"/threads/{thread}/state", json={"values": {"done": ["x"]}})
    assert answer.status_code == 409
    assert run["run_id"] in answer.json()["detail"]
    live.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel?wait=1")
    assert "x" not in client.threads.get_state(thread)["values"]["done"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"values": {"done": ["x"]}, "as_node": "zz"}, 400),
        ({"values": 5}, 422),
        ({"values": {"done": 5}, "as_node": "one"}, 400),
        ({"checkpoint": "x"}, 422),
    ],
)
def test_bad_edits(live: Live, thread: str, body: dict[str, Any], status: int) -> None:
    """A sentence, and nothing is written."""
    before = live.client().threads.get_state(thread)
    answer = live.http().post(f"/threads/{thread}/state", json=body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert live.client().threads.get_state(thread) == before


def test_thread_without_a_graph(live: Live, client: SyncLangGraphClient) -> None:
    """An edit needs one; state and history are just empty."""
    thread = client.threads.create()["thread_id"]
    answer = live.http().post(f"/threads/{thread}/state", json={"values": {"done": ["x"]}})
    assert answer.status_code == 400
    assert "has no assigned graph" in answer.json()["detail"]
    assert client.threads.get_history(thread) == []
    assert client.threads.get_state(thread)["values"] == {}
    with_graph = client.threads.create(metadata={"graph_id": "steps"})["thread_id"]
    client.threads.update_state(with_graph, {"done": ["first"]}, as_node="one")
    assert client.threads.get_state(with_graph)["next"] == ["two"]


def test_edits_in_every_form(client: SyncLangGraphClient, thread: str) -> None:
    """As a node, a copy, the end, an input; each is one more checkpoint, that says which graph it is of."""
    forms: list[tuple[Any, str, list[str], list[str]]] = [
        ({"done": ["x", "y"]}, "two", ["three"], ["x", "y"]),
        (None, "__copy__", ["three"], ["x", "y"]),
        (None, "__end__", [], ["x", "y"]),
        ({"done": ["in"]}, "__input__", ["__start__"], ["x", "y"]),
        ({"done": ["in"]}, "__start__", ["one"], ["x", "y", "in"]),
    ]
    count = len(client.threads.get_history(thread, limit=100))
    for values, as_node, follows, tail in forms:
        client.threads.update_state(thread, values, as_node=as_node)
        state = client.threads.get_state(thread)
        assert (state["next"], state["values"]["done"][-len(tail) :]) == (follows, tail), as_node
    history = client.threads.get_history(thread, limit=100)
    assert len(history) == count + len(forms)
    by_a_node = [state for state in history if state["metadata"]["source"] != "fork"]  # LangGraph's copy tells nothing
    assert len(by_a_node) == len(history) - 1
    assert {state["metadata"]["graph_id"] for state in by_a_node} == {"steps"}


def test_a_subgraph_can_be_looked_at_and_edited(client: SyncLangGraphClient) -> None:
    """By the checkpoint that its task tells: its state, its history, and an edit that the graph goes on from."""
    thread = str(client.threads.create()["thread_id"])
    client.runs.wait(thread, "asking_inside", input={"log": []})
    (task,) = client.threads.get_state(thread, subgraphs=True)["tasks"]
    inside = task["state"]
    assert (inside["values"], inside["next"]) == ({"log": ["inner"]}, ["ask"])
    assert client.threads.get_state(thread, checkpoint=inside["checkpoint"])["values"] == inside["values"]
    assert client.threads.get_state(thread)["tasks"][0]["checkpoint"]["checkpoint_ns"].startswith("child:")
    namespace = {"checkpoint_ns": inside["checkpoint"]["checkpoint_ns"]}
    past = client.threads.get_history(thread, limit=10, checkpoint=namespace)
    assert [state["next"] for state in past] == [["ask"], ["inner"], ["__start__"]]
    client.threads.update_state(thread, {"log": ["edited"]}, checkpoint=inside["checkpoint"])
    (edited,) = client.threads.get_state(thread, subgraphs=True)["tasks"]
    assert edited["state"]["values"] == {"log": ["inner", "edited"]}
    assert client.threads.get_history(thread, limit=10, checkpoint={"checkpoint_ns": "zz"}) == []


def test_what_newer_clients_send_is_harmless(live: Live, client: SyncLangGraphClient, thread: str) -> None:
    """`select` is ignored, in a body as in a query; null is absence; a wrong method says which there are."""
    state, path = client.threads.get_state(thread), f"/threads/{thread}"
    assert live.http().get(f"{path}/state?select=values.done").json() == state
    body: dict[str, Any] = dict.fromkeys(("limit", "before", "metadata", "checkpoint")) | {"select": ["values.done"]}
    assert live.http().post(f"{path}/history", json=body).json() == [state]
    named = {"checkpoint": {**state["checkpoint"], "checkpoint_map": None}, "subgraphs": None}
    assert live.http().post(f"{path}/state/checkpoint", json=named).json() == state
    wrong = live.http().patch(f"{path}/state", json={"metadata": {"a": 1}})
    assert wrong.status_code == 405
    assert {"GET", "POST"} <= set(wrong.headers["allow"].replace(" ", "").split(","))


def test_a_graph_that_is_not_there(live: Live, client: SyncLangGraphClient) -> None:
    """Clients name any in a thread's metadata: that is no fault of the server's."""
    for name, status in (("none-such", 404), (["steps"], 200)):
        path = f"/threads/{client.threads.create(metadata={'graph_id': name})['thread_id']}"
        assert live.http().get(f"{path}/state").status_code == status
        assert live.http().post(f"{path}/history", json={}).status_code == status
    assert live.http().post(f"{path}/state", json={"values": {}}).status_code == 400
