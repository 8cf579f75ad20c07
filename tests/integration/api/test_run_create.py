"""Creating runs over HTTP: defaults of both mounts, what is refused, and that nothing is lost on the way."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import GATEWAY, MOUNTS, PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.words import RunStatus
from deerflow.storage import assistants, runs
from tests.conftest import SilentBell
from tests.factories import STRANGER, make_thread
from tests.integration.api.conftest import by_mount, detail
from tests.integration.api.test_threads import TIME

Create = Callable[..., TestResponse]

BUSY = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
NOT_FOUND = "Thread or assistant not found."
NOTHING: dict[str, Any] = {
    # What asks for nothing; SDKs send some of it explicitly.
    "input": None,
    "command": None,
    "config": {"configurable": None, "metadata": None, "tags": None, "recursion_limit": None},
    "context": None,
    "metadata": None,
    "checkpoint": None,
    "checkpoint_id": None,
    "interrupt_before": [],
    "interrupt_after": None,
    "webhook": None,
    "stream_mode": [],
    "stream_subgraphs": False,
    "stream_resumable": False,
    "on_disconnect": None,
    "on_completion": None,
    "multitask_strategy": None,
    "if_not_exists": None,
    "after_seconds": 0,
    "durability": "async",
    "checkpoint_during": True,
    "feedback_keys": None,
    "langsmith_tracer": {"project_name": "p"},
    "strict_resume": True,
}


def told(run: dict[str, Any]) -> dict[str, Any]:
    """A run's config without what the server adds to every one."""
    configurable = run["kwargs"]["config"]["configurable"]
    kept = {name: value for name, value in configurable.items() if not name.startswith("langgraph_")}
    return {**run["kwargs"]["config"], "configurable": kept}


@by_mount
def test_answer(create: Create, thread: str, bell: SilentBell, mount: Mount) -> None:
    """A new run is pending, shows what it was given, and its worker is rung; the header names it for SDKs."""
    answer = create(mount, input={"pause": 1}, metadata={"m": 1}, context={"model_name": "x"})
    run = answer.get_json()
    assistant_id = str(system_assistant_id("steps"))
    assert answer.status_code == 200
    assert answer.headers["Content-Location"] == f"{mount.prefix}/threads/{thread}/runs/{run['run_id']}"
    assert "Location" not in answer.headers
    assert [str(rung.run_id) for rung in bell.rings] == [run["run_id"]]
    assert (run["thread_id"], run["assistant_id"], run["status"]) == (thread, assistant_id, "pending")
    assert run["metadata"] == {
        "created_by": "system",
        "m": 1,
        "graph_id": "steps",
        "assistant_id": assistant_id,
    }
    assert run["kwargs"]["input"] == {"pause": 1}
    assert run["kwargs"]["context"] == {"model_name": "x"}
    assert told(run) == {"configurable": {"model_name": "x"}}  # the two mirror each other
    assert all(TIME.fullmatch(run[name]) for name in ("created_at", "updated_at"))


@pytest.mark.parametrize("fields", [{}, NOTHING], ids=["left out", "asked for nothing"])
@by_mount
def test_defaults(create: Create, mount: Mount, fields: dict[str, Any]) -> None:
    """What is left out, null, or the SDKs' way of asking for nothing means the mount's default."""
    run = create(mount, **fields).get_json()
    assert run["multitask_strategy"] == {"platform": "enqueue", "gateway": "reject"}[mount.name]
    assert run["kwargs"]["on_disconnect"] == {"platform": "continue", "gateway": "cancel"}[mount.name]
    assert run["kwargs"]["stream_mode"] == ["values"]
    assert (run["kwargs"]["subgraphs"], run["kwargs"]["resumable"]) == (False, False)
    assert run["kwargs"]["input"] is None


@by_mount
def test_empty_input_is_not_null(create: Create, mount: Mount) -> None:
    """``{}`` starts from the beginning and null goes on, so the two stay apart."""
    assert create(mount, input={}).get_json()["kwargs"]["input"] == {}


def test_busy_thread(create: Create, busy_thread: str, bell: SilentBell) -> None:
    """By default the platform lets a run wait for its turn, unrung, and the gateway refuses it."""
    rung = len(bell.rings)
    assert detail(create(GATEWAY, on=busy_thread), 409) == BUSY
    assert create(PLATFORM, on=busy_thread).get_json()["status"] == "pending"
    assert len(bell.rings) == rung


@by_mount
def test_chosen_strategy(create: Create, web: FlaskClient, busy_thread: str, mount: Mount) -> None:
    """What the client says wins over the mount."""
    assert detail(create(mount, on=busy_thread, multitask_strategy="reject"), 409) == BUSY
    assert create(mount, on=busy_thread, multitask_strategy="enqueue").status_code == 200
    assert len(web.get(f"/threads/{busy_thread}/runs").get_json()) == 2


def test_missing_thread(create: Create, web: FlaskClient) -> None:
    """By default the platform refuses a thread that does not exist and the gateway creates it."""
    missing = str(uuid4())
    assert detail(create(PLATFORM, on=missing), 404) == NOT_FOUND
    detail(web.get(f"/threads/{missing}"), 404)
    assert create(GATEWAY, on=missing, metadata={"m": 1}).status_code == 200
    thread = web.get(f"/threads/{missing}").get_json()
    assert thread["status"] == "busy"
    assert thread["metadata"] == {
        "m": 1,
        "graph_id": "steps",
        "assistant_id": str(system_assistant_id("steps")),
    }


@by_mount
def test_chosen_if_not_exists(create: Create, mount: Mount) -> None:
    """What the client says wins over the mount."""
    assert detail(create(mount, on=uuid4(), if_not_exists="reject"), 404) == NOT_FOUND
    assert create(mount, on=uuid4(), if_not_exists="create").status_code == 200


@pytest.mark.parametrize("if_not_exists", ["create", "reject"])
@by_mount
def test_strangers_thread(create: Create, backend: Backend, mount: Mount, if_not_exists: str) -> None:
    """A run on another owner's thread is refused, without starting anything there."""
    theirs = make_thread(backend, STRANGER).thread_id
    refused = create(mount, on=theirs, if_not_exists=if_not_exists)
    assert refused.status_code in {404, 409}
    with backend.db.read() as tx:
        assert runs.inflight(tx, theirs) == []


def test_missing_assistant(create: Create) -> None:
    """The platform wants one; the gateway takes the thread's last, else the first graph."""
    assert "assistant_id" in detail(create(PLATFORM, assistant_id=None), 422)
    first = create(GATEWAY, assistant_id=None).get_json()
    assert first["assistant_id"] == str(system_assistant_id("chat"))
    other = str(uuid4())
    assert create(GATEWAY, on=other, assistant_id="nested").status_code == 200
    last = create(GATEWAY, on=other, assistant_id=None, multitask_strategy="enqueue").get_json()
    assert last["assistant_id"] == str(system_assistant_id("nested"))


@by_mount
def test_unknown_assistant(create: Create, mount: Mount) -> None:
    """A name that is no graph is told the graphs; an id that is none is not found. Neither leaves a run."""
    refused = detail(create(mount, assistant_id="nope"), 422)
    assert "nope" in refused
    assert "steps, showing, faulty" in refused
    assert detail(create(mount, assistant_id=str(uuid4())), 404) == NOT_FOUND


@by_mount
def test_assistant_by_id(create: Create, mount: Mount) -> None:
    """A graph's own assistant goes by its id too."""
    assistant_id = str(system_assistant_id("steps"))
    assert create(mount, assistant_id=assistant_id).get_json()["assistant_id"] == assistant_id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("assistant_id", 5),
        ("config", []),
        ("config", {"configurable": []}),
        ("config", {"metadata": 5}),
        ("config", {"tags": "one"}),
        ("config", {"recursion_limit": 0}),
        ("config", {"recursion_limit": "many"}),
        ("config", {"recursion_limit": True}),
        ("context", "x"),
        ("metadata", []),
        ("stream_mode", "tools"),
        ("stream_mode", ["values", "lifecycle"]),
        ("stream_mode", 5),
        ("multitask_strategy", "queue"),
        ("on_disconnect", "stay"),
        ("if_not_exists", "maybe"),
        ("after_seconds", -1),
        ("durability", "maybe"),
    ],
)
def test_wrong_value(create: Create, field: str, value: Any) -> None:
    """A value that is not of its kind is refused by name."""
    for mount in MOUNTS:
        assert field in detail(create(mount, **{field: value}), 422)


@by_mount
def test_config_and_context(create: Create, mount: Mount) -> None:
    """The two ways of configuring exclude each other; an empty one does not count."""
    both = create(mount, config={"configurable": {"a": 1}}, context={"a": 1})
    assert "both configurable and context" in detail(both, 400)
    assert create(mount, config={"configurable": {}}, context={"a": 1}).status_code == 200


@by_mount
def test_config_is_kept(create: Create, mount: Mount) -> None:
    """What LangGraph is told by config reaches it; its own machinery's keys and nulls do not."""
    given = {
        "tags": ["t"],
        "metadata": {"m": 1},
        "recursion_limit": 7,
        "configurable": {"words": 3, "__pregel_resuming": True},
        "callbacks": ["nonsense"],
        "run_id": "x",
    }
    assert told(create(mount, config=given).get_json()) == {
        "tags": ["t"],
        "metadata": {"m": 1},
        "recursion_limit": 7,
        "configurable": {"words": 3},
    }


def test_repeated_stream_modes(create: Create) -> None:
    """A mode asked for twice is streamed once; order is kept."""
    asked = create(PLATFORM, stream_mode=["custom", "values", "custom"]).get_json()
    assert asked["kwargs"]["stream_mode"] == ["custom", "values"]


@by_mount
def test_broken_bell(create: Create, backend: Backend, bell: SilentBell, thread: str, mount: Mount) -> None:
    """scenario 58: a run in the database is a success, whatever the bell does; the clock rings it soon."""
    bell.broken = True
    answer = create(mount)
    assert answer.status_code == 200
    with backend.db.read() as tx:
        (stored,) = runs.inflight(tx, UUID(thread))
    assert (str(stored.run_id), stored.status) == (answer.get_json()["run_id"], RunStatus.PENDING)
    assert stored.rung_at is None


@by_mount
def test_graph_that_is_not_served_any_more(web: FlaskClient, backend: Backend, mount: Mount) -> None:
    """Its assistant may still be there; the run is refused, naming the graphs that are."""
    with backend.db.begin() as tx:
        assistants.ensure_system(tx, {"gone": None})
    thread = web.post(f"{mount.prefix}/threads", json={}).json["thread_id"]
    gone = str(system_assistant_id("gone"))
    answer = web.post(f"{mount.prefix}/threads/{thread}/runs", json={"assistant_id": gone})
    assert answer.status_code == 422
    assert "'gone' is not served any more" in answer.json["detail"]
    assert "steps" in answer.json["detail"]
