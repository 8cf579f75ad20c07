"""Every field of a run's body does something: each test here fails when the server ignores its field."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from deerflow.domain.assistants import system_assistant_id
from deerflow.events.connections import connect
from tests.conformance.conftest import Wire
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import Frame, read_frames

HERE = "conformance/test_every_field.py::"
PROVEN = {
    # Field of a run's body -> the test that fails when it is ignored (a guard compares).
    "assistant_id": HERE + "test_assistant_id",
    "input": HERE + "test_input",
    "command.resume": HERE + "test_command_resume",
    "command.update": HERE + "test_command_update",
    "command.goto": HERE + "test_command_goto",
    "config.tags": HERE + "test_config_tags",
    "config.metadata": HERE + "test_config_metadata",
    "config.configurable": HERE + "test_config_configurable",
    "config.recursion_limit": HERE + "test_config_recursion_limit",
    "config.max_concurrency": HERE + "test_config_max_concurrency",
    "config.run_name": HERE + "test_config_run_name",
    "context": HERE + "test_context",
    "metadata": HERE + "test_metadata",
    "stream_mode": HERE + "test_stream_mode",
    "stream_subgraphs": HERE + "test_stream_subgraphs",
    "stream_resumable": HERE + "test_stream_resumable",
    "multitask_strategy": HERE + "test_multitask_strategy",
    "on_disconnect": "conformance/test_disconnect.py::test_creator_leaves",
    "if_not_exists": HERE + "test_if_not_exists",
    "checkpoint": HERE + "test_checkpoint",
    "checkpoint_id": HERE + "test_checkpoint_id",
    "interrupt_before": HERE + "test_interrupt_before",
    "interrupt_after": HERE + "test_interrupt_after",
    "webhook": "chaos/test_webhooks.py::test_every_end_is_told_once",
    "after_seconds": HERE + "test_after_seconds",
    "durability": HERE + "test_durability",
    "checkpoint_during": HERE + "test_checkpoint_during",
    "on_completion": HERE + "test_on_completion",
    "feedback_keys": HERE + "test_feedback_keys",
}

STEPS = ["one", "two", "three", "four"]
PATIENT = {"kind": "patient", "seconds": 60}

Wait = Callable[..., Any]


@pytest.fixture(params=[PLATFORM, GATEWAY], ids=lambda mount: mount.name)
def mount(request: pytest.FixtureRequest) -> Mount:
    """Either mount."""
    found: Mount = request.param
    return found


@pytest.fixture
def wait(wire: Wire, mount: Mount) -> Wait:
    """Starts a run on the test's thread and answers what it leaves."""

    def wait(assistant: str, **fields: Any) -> Any:
        body = {"assistant_id": assistant, **fields}
        answer = wire.http.post(f"{mount.prefix}/threads/{wire.thread}/runs/wait", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return wait


def stream(wire: Wire, mount: Mount, assistant: str, **fields: Any) -> list[Frame]:
    body = {"assistant_id": assistant, **fields}
    with wire.http.stream("POST", f"{mount.prefix}/threads/{wire.thread}/runs/stream", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        return list(read_frames(answer))


def newest_run(wire: Wire) -> dict[str, Any]:
    found: dict[str, Any] = wire.http.get(f"/threads/{wire.thread}/runs").json()[0]
    return found


def state(wire: Wire) -> dict[str, Any]:
    found: dict[str, Any] = wire.http.get(f"/threads/{wire.thread}/state").json()
    return found


def history(wire: Wire) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = wire.http.post(f"/threads/{wire.thread}/history", json={"limit": 50}).json()
    return found


@pytest.mark.parametrize("named", ["steps", str(system_assistant_id("steps"))], ids=["name", "id"])
def test_assistant_id(wire: Wire, wait: Wait, named: str) -> None:
    """The graph that runs, by its name or its assistant's id."""
    assert wait(named, input={})["done"] == STEPS
    assert newest_run(wire)["assistant_id"] == str(system_assistant_id("steps"))


def test_input(wait: Wait) -> None:
    assert wait("echo", input={"said": [1, {"a": None}]})["said"] == [1, {"a": None}]


def test_command_resume(wait: Wait) -> None:
    assert wait("asking", input={})["__interrupt__"]
    assert wait("asking", command={"resume": "yes"}) == {"log": ["before", "yes"]}


def test_command_update(wait: Wait) -> None:
    assert wait("two_questions", command={"update": {"note": "n"}, "goto": "done"})["note"] == "n"
    assert wait("two_questions", command={"update": [["note", "m"]], "goto": "done"})["note"] == "m"


def test_command_goto(wait: Wait) -> None:
    """A node, a node with an input of its own, or several of either."""
    wait("steps", input={})
    assert wait("steps", command={"goto": "three"})["done"] == [*STEPS, "three", "four"]
    assert wait("steps", command={"goto": {"node": "four", "input": {}}})["done"] == [*STEPS, "three", "four", "four"]
    sent = wait("steps", command={"goto": [{"node": "four", "input": {"pause": 0.0}}, "three"]})
    assert sorted(sent["done"][len(STEPS) + 3 :]) == ["four", "four", "three"]


def test_config_tags(wait: Wait) -> None:
    assert wait("echo", input={}, config={"tags": ["a", "b"]})["told"]["tags"] == ["a", "b"]


def test_config_metadata(wire: Wire, wait: Wait) -> None:
    """In the graph's config, on the run and on the checkpoints."""
    assert wait("echo", input={}, config={"metadata": {"m": 1}})["told"]["metadata"]["m"] == 1
    assert newest_run(wire)["metadata"]["m"] == 1
    assert state(wire)["metadata"]["m"] == 1


def test_config_configurable(wait: Wait) -> None:
    told = wait("echo", input={}, config={"configurable": {"x": {"y": 1}, "colour": "red"}})["told"]
    assert told["configurable"]["x"] == {"y": 1}
    assert told["context"] == {"colour": "red"}, "alone it is the context too, as far as its schema knows it"


def test_config_recursion_limit(wait: Wait) -> None:
    assert wait("echo", input={}, config={"recursion_limit": 7})["told"]["recursion_limit"] == 7
    assert wait("steps", input={}, config={"recursion_limit": 2})["__error__"]["error"] == "GraphRecursionError"


def test_config_max_concurrency(wait: Wait) -> None:
    """How many nodes of one step run at the same time."""
    assert wait("wide", input={"running": 0}, config={"max_concurrency": 1})["running"] == 1
    assert wait("wide", input={"running": 0})["running"] == 4


def test_config_run_name(wire: Wire, mount: Mount) -> None:
    frames = stream(wire, mount, "echo", input={}, stream_mode="events", config={"run_name": "christened"})
    assert "christened" in {frame.data.get("name") for frame in frames if frame.event == "events"}


def test_context(wait: Wait) -> None:
    """For the graph's runtime by its schema; alone it is ``configurable`` too."""
    told = wait("echo", input={}, context={"colour": "blue", "unknown": 1})["told"]
    assert told["context"] == {"colour": "blue"}
    assert told["configurable"]["unknown"] == 1


def test_metadata(wire: Wire, wait: Wait) -> None:
    assert wait("echo", input={}, metadata={"m": [1]})["told"]["metadata"]["m"] == [1]
    assert newest_run(wire)["metadata"]["m"] == [1]


@pytest.mark.parametrize("given", ["updates", ["updates"], ["custom", "updates"]])
def test_stream_mode(wire: Wire, mount: Mount, given: Any) -> None:
    frames = stream(wire, mount, "steps", input={}, stream_mode=given)
    assert {frame.event for frame in frames[1:]} == ({given} if isinstance(given, str) else set(given))


def test_stream_subgraphs(wire: Wire, mount: Mount) -> None:
    frames = stream(wire, mount, "nested", input={"log": []}, stream_subgraphs=True)
    assert [frame for frame in frames if frame.event.startswith("values|child:")]


def test_stream_resumable(live: Live, wire: Wire, wait: Wait) -> None:
    """Its events are kept for a day instead of an hour."""
    lives = []
    valkey = connect(f"unix://{live.folder / 'data' / 'valkey.sock'}")
    for fields in ({}, {"stream_resumable": True}):
        wait("steps", input={}, **fields)
        lives.append(valkey.ttl(f"df:{newest_run(wire)['run_id']}:log"))
    valkey.close()
    assert 3_500 < lives[0] <= 3_600
    assert 86_300 < lives[1] <= 86_400


@pytest.mark.parametrize(
    ("strategy", "status", "old"),
    [
        ("reject", 409, "running"),
        ("enqueue", 200, "running"),
        ("interrupt", 200, "interrupted"),
        ("rollback", 200, None),
    ],
)
def test_multitask_strategy(wire: Wire, mount: Mount, strategy: str, status: int, old: str | None) -> None:
    """What becomes of the run that is running: it goes on, stops, or was never there."""
    running = wire.create("stubborn", input=PATIENT)
    wire.until(running, "running")
    body = {"assistant_id": "steps", "input": {}, "multitask_strategy": strategy}
    answer = wire.http.post(f"{mount.prefix}/threads/{wire.thread}/runs", json=body)
    assert answer.status_code == status
    if old is None:
        wait_for(lambda: wire.http.get(wire.path(running)).status_code == 404, what="the rollback")
    else:
        wire.until(running, old)
    wire.http.post(f"{wire.path(running)}/cancel?wait=1")
    if status == 200:
        wire.until(answer.json()["run_id"], "success")


@pytest.mark.parametrize(("if_not_exists", "status"), [("create", 200), ("reject", 404)])
def test_if_not_exists(http: httpx.Client, mount: Mount, if_not_exists: str, status: int) -> None:
    body = {"assistant_id": "steps", "input": {}, "if_not_exists": if_not_exists}
    thread = uuid4()
    assert http.post(f"{mount.prefix}/threads/{thread}/runs/wait", json=body).status_code == status
    assert http.get(f"/threads/{thread}").status_code == status


def test_checkpoint(wire: Wire, wait: Wait) -> None:
    """An input at an older checkpoint begins a branch there."""
    wait("steps", input={})
    (before_three,) = [each for each in history(wire) if each["next"] == ["three"]]
    assert wait("steps", input={}, checkpoint=before_three["checkpoint"])["done"] == ["one", "two", *STEPS]


def test_checkpoint_id(wire: Wire, wait: Wait) -> None:
    wait("steps", input={})
    (before_three,) = [each for each in history(wire) if each["next"] == ["three"]]
    named = before_three["checkpoint"]["checkpoint_id"]
    assert wait("steps", input={}, checkpoint_id=named)["done"] == ["one", "two", *STEPS]


@pytest.mark.parametrize(("where", "stops"), [(["three"], "three"), ("*", "one")])
def test_interrupt_before(wire: Wire, wait: Wait, where: Any, stops: str) -> None:
    wait("steps", input={}, interrupt_before=where)
    assert state(wire)["next"] == [stops]


@pytest.mark.parametrize(("where", "stops"), [(["three"], "four"), ("*", "two")])
def test_interrupt_after(wire: Wire, wait: Wait, where: Any, stops: str) -> None:
    wait("steps", input={}, interrupt_after=where)
    assert state(wire)["next"] == [stops]


def test_after_seconds(wire: Wire, wait: Wait) -> None:
    started = time.monotonic()
    wait("steps", input={}, after_seconds=1.5)
    assert time.monotonic() - started >= 1.5
    run = newest_run(wire)
    assert run["run_at"] > run["created_at"]


def test_durability(wire: Wire, wait: Wait) -> None:
    wait("steps", input={}, durability="exit")
    assert len(history(wire)) == 1


def test_checkpoint_during(wire: Wire, wait: Wait) -> None:
    """The older name: false is ``exit``."""
    wait("steps", input={}, checkpoint_during=False)
    assert len(history(wire)) == 1


@pytest.mark.parametrize(("on_completion", "status"), [("delete", 404), ("keep", 200)])
def test_on_completion(http: httpx.Client, mount: Mount, on_completion: str, status: int) -> None:
    body = {"assistant_id": "steps", "input": {}, "on_completion": on_completion}
    run = http.post(f"{mount.prefix}/runs", json=body).json()
    path = f"/threads/{run['thread_id']}"
    assert http.get(f"{path}/runs/{run['run_id']}/join").json()["done"] == STEPS
    assert http.get(path).status_code == status


def test_feedback_keys(wire: Wire, wait: Wait) -> None:
    """Kept on the run; the run goes on as without them."""
    assert wait("steps", input={}, feedback_keys=["good"])["done"] == STEPS
    assert newest_run(wire)["kwargs"]["feedback_keys"] == ["good"]


def test_nothing_asked(wait: Wait) -> None:
    """null stands for what was left out, an unknown field for nothing."""
    nothing: dict[str, Any] = dict.fromkeys(name for name in PROVEN if "." not in name)
    nothing |= {"input": {}, "config": {"configurable": None, "metadata": None}, "command": None, "strict_resume": True}
    del nothing["assistant_id"]
    assert wait("steps", **nothing)["done"] == STEPS
