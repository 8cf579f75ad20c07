"""Copies of threads, threads made from supersteps, and pruned ones, as the Python SDK asks for them."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError

from tests.conformance.conftest import Sdk
from tests.conftest import wait_for
from tests.live import Live
from tests.traces import hold, let_go


@pytest.fixture
def asked(sdk: Sdk) -> str:
    """A thread that waits for an answer inside of a subgraph."""
    thread_id = str(sdk.threads.create(metadata={"m": 1}, ttl=90)["thread_id"])
    sdk.runs.wait(thread_id, "asking_inside", input={"log": []})
    return thread_id


def plain(states: Any, thread_id: str) -> str:
    return str(states).replace(thread_id, "T")


def test_a_copy_has_the_same_past_and_a_future_of_its_own(sdk: Sdk, asked: str) -> None:
    """Metadata, values and the open question; no runs; what happens to one does not happen to the other."""
    copy = sdk.threads.copy(asked)
    source = sdk.threads.get(asked)
    assert copy["thread_id"] != asked
    same = ("metadata", "values", "interrupts")
    assert {name: copy[name] for name in same} == {name: source[name] for name in same}
    assert (copy["status"], copy["config"]) == ("idle", {})
    assert sdk.threads.get(copy["thread_id"]) == copy
    assert sdk.runs.list(copy["thread_id"]) == []
    mine, theirs = (sdk.threads.get_history(t, limit=100) for t in (copy["thread_id"], asked))
    assert plain(mine, copy["thread_id"]) == plain(theirs, asked)
    assert asked not in str(mine)
    nested = sdk.threads.get_state(copy["thread_id"], subgraphs=True)
    assert nested["tasks"][0]["state"]["values"] == {"log": ["inner"]}
    assert asked not in str(nested)
    done = sdk.runs.wait(copy["thread_id"], "asking_inside", command={"resume": "yes"})
    assert done == {"log": ["inner", "yes", "after"]}
    assert sdk.threads.get(asked)["status"] == "interrupted"
    assert sdk.threads.get_history(asked, limit=100) == theirs


def test_a_run_on_a_copy_can_be_rolled_back(live: Live, sdk: Sdk, asked: str) -> None:
    copy = sdk.threads.copy(asked)["thread_id"]
    before = sdk.threads.get_state(copy, subgraphs=True)
    run = sdk.runs.create(copy, "asking_inside", command={"resume": "yes"})
    sdk.runs.join(copy, run["run_id"])
    assert live.http().delete(f"/threads/{copy}/runs/{run['run_id']}").status_code == 204
    assert sdk.threads.get_state(copy, subgraphs=True) == before


def test_a_copy_of_nothing(sdk: Sdk) -> None:
    """A thread without checkpoints; one that is not there is 409, as on the reference."""
    bare = sdk.threads.create(metadata={"a": 1})
    copy = sdk.threads.copy(bare["thread_id"])
    assert (copy["metadata"], copy["values"], copy["status"]) == ({"a": 1}, None, "idle")
    assert copy.keys() == bare.keys()
    with pytest.raises(ConflictError, match="cannot be copied"):
        sdk.threads.copy(str(uuid4()))


def test_a_copy_is_had_once(live: Live, asked: str) -> None:
    """Under one key, also for somebody who has not heard the answer; it expires as its source does."""
    headers = {"Idempotency-Key": str(uuid4())}
    first, second = (live.http().post(f"/threads/{asked}/copy", headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    told = live.http().get(f"/threads/{first.json()['thread_id']}?include=ttl").json()
    assert told["ttl"]["ttl_minutes"] == 90.0


def test_a_thread_can_be_copied_while_it_runs(sdk: Sdk, trace: Path) -> None:
    """The copy has what was stored by then, and rests; the run goes on where it is."""
    source = sdk.threads.create()["thread_id"]
    hold(trace, "two")
    run = sdk.runs.create(source, "steps", input={"trace": str(trace)})
    wait_for(lambda: sdk.threads.get_state(source)["next"] == ["two"], what="the first step")
    copy = sdk.threads.copy(source)
    assert copy["status"] == "idle"
    done = copy["values"]["done"]
    assert done == ["one"]
    let_go(trace)
    sdk.runs.join(source, run["run_id"])
    assert sdk.threads.get(copy["thread_id"]) == copy
    assert sdk.threads.get_state(copy["thread_id"])["values"]["done"] == done
    assert sdk.runs.wait(copy["thread_id"], "steps", input=None)["done"] == ["one", "two", "three", "four"]


STEPS = [
    {"updates": [{"values": {"done": []}, "as_node": "__input__"}]},
    {"updates": [{"values": {"done": ["told"]}, "as_node": "one"}]},
    {"updates": [{"values": None, "command": {"update": {"done": ["by command"]}}, "as_node": "two"}]},
]


def test_supersteps_give_a_thread_a_past(sdk: Sdk) -> None:
    """Each is a checkpoint; the thread goes on behind them as if its graph had made them."""
    thread = sdk.threads.create(graph_id="steps", supersteps=STEPS, metadata={"m": 1}, ttl=5)
    assert thread["metadata"] == {"m": 1, "graph_id": "steps"}
    assert (thread["status"], thread["values"]) == ("interrupted", {"done": ["told", "by command"]})
    assert sdk.threads.get(thread["thread_id"]) == thread
    history = sdk.threads.get_history(thread["thread_id"], limit=10)
    assert [state["next"] for state in history] == [["three"], ["two"], ["__start__"]]
    done = sdk.runs.wait(thread["thread_id"], "steps", input=None)
    assert done["done"] == ["told", "by command", "three", "four"]


def test_the_past_of_one_thread_told_to_another(sdk: Sdk) -> None:
    """What clients make supersteps of: a history read here."""
    source = sdk.threads.create()["thread_id"]
    sdk.runs.wait(source, "steps", input={})
    past = list(reversed(sdk.threads.get_history(source, limit=100)))
    steps = [
        {"updates": [{"values": task["result"], "as_node": task["name"]} for task in state["tasks"]]}
        for state in past
        if state["tasks"]
    ]
    steps[0]["updates"][0]["as_node"] = "__input__"
    made = sdk.threads.create(graph_id="steps", supersteps=steps)
    assert made["values"] == sdk.threads.get(source)["values"]


@pytest.mark.parametrize(
    ("metadata", "supersteps", "told"),
    [
        ({"graph_id": "steps"}, [*STEPS, {"updates": [{"values": {}, "as_node": "nobody"}]}], "nobody"),
        ({"graph_id": "steps"}, [{"updates": [{"values": {"done": 5}, "as_node": "one"}]}], "."),
        ({}, STEPS, "graph_id"),
        ({"graph_id": ["steps"]}, STEPS, "graph_id"),
    ],
    ids=["a node that is not there", "a value that does not fit", "no graph", "no name"],
)
def test_supersteps_that_are_refused_leave_nothing(sdk: Sdk, metadata: Any, supersteps: Any, told: str) -> None:
    """The id is free again at once, and what was written before the refusal is gone."""
    chosen = str(uuid4())
    with pytest.raises(BadRequestError, match=told):
        sdk.threads.create(thread_id=chosen, metadata=metadata, supersteps=supersteps)
    thread = sdk.threads.create(thread_id=chosen, graph_id="steps")
    assert thread["values"] is None
    assert sdk.threads.get_history(chosen, limit=100) == []


def test_supersteps_for_a_graph_that_is_not_there(sdk: Sdk) -> None:
    """It is named, and the thread is not made."""
    chosen = str(uuid4())
    with pytest.raises(NotFoundError, match="none-such"):
        sdk.threads.create(thread_id=chosen, graph_id="none-such", supersteps=STEPS)
    assert sdk.threads.create(thread_id=chosen)["values"] is None


def test_supersteps_for_a_thread_that_is_there(sdk: Sdk) -> None:
    """It stays what it is."""
    thread = sdk.threads.create(graph_id="steps")
    asked = {"thread_id": thread["thread_id"], "graph_id": "steps", "supersteps": STEPS}
    assert sdk.threads.create(**asked, if_exists="do_nothing") == thread
    with pytest.raises(ConflictError):
        sdk.threads.create(**asked)
    assert sdk.threads.get_state(thread["thread_id"])["values"] == {}


def test_a_pruned_thread_goes_on(sdk: Sdk, asked: str) -> None:
    """keep_latest takes the past, and counts the threads that were pruned: not unknown ones, not busy ones."""
    busy = sdk.threads.create()["thread_id"]
    run = sdk.runs.create(busy, "steps", input={"pause": 30.0})
    before = sdk.threads.get_state(asked, subgraphs=True)
    told = sdk.threads.prune([asked, busy, str(uuid4()), asked], strategy="keep_latest")
    assert told == {"pruned_count": 1}
    after = sdk.threads.get_state(asked, subgraphs=True)
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"parent_checkpoint", "parent_checkpoint_id", "tasks"}
    assert [task["state"]["values"] for task in after["tasks"]] == [{"log": ["inner"]}]
    assert len(sdk.threads.get_history(asked, limit=100)) == 1
    assert sdk.runs.wait(asked, "asking_inside", command={"resume": "x"}) == {"log": ["inner", "x", "after"]}
    assert sdk.threads.prune([asked, busy]) == {"pruned_count": 2}
    assert sdk.threads.search(ids=[asked, busy]) == []
    assert run["status"] == "pending"


@pytest.mark.parametrize(
    "body", [{}, {"thread_ids": "x"}, {"thread_ids": ["x"]}, {"thread_ids": [], "strategy": "most"}]
)
def test_bad_prunes(http: httpx.Client, body: Any) -> None:
    answer = http.post("/threads/prune", json=body)
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)
