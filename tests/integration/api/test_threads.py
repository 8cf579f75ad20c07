"""Threads over HTTP."""

import re
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.runtime import ask
from tests.conftest import SilentBell
from tests.factories import LOCAL_USER, STRANGER, make_run, make_thread
from tests.integration.api.conftest import by_mount, detail

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
EMPTY_STATE = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}
AN_ID = "01932c07-0000-7000-8000-000000000001"
NOT_IDS = [
    "x",
    "123",
    "not-a-uuid-at-all-but-of-the-same-len",
    f"{AN_ID}%0A",
    f"%20{AN_ID}",
    f"{{{AN_ID}}}",
    AN_ID.replace("-", ""),
    f"urn:uuid:{AN_ID}",
    "%00",
]


@by_mount
def test_new_thread(web: FlaskClient, mount: Mount) -> None:
    """A thread begins idle and empty, with the metadata it was given."""
    created = web.post(f"{mount.prefix}/threads", json={"metadata": {"a": 1}, "unknown": "ignored"})
    thread = created.get_json()
    assert created.status_code == 200
    assert {**thread, "thread_id": "T", "created_at": 0, "updated_at": 0, "state_updated_at": 0} == {
        "thread_id": "T",
        "created_at": 0,
        "updated_at": 0,
        "state_updated_at": 0,
        "metadata": {"a": 1},
        "status": "idle",
        "config": {},
        "values": None,
    }
    assert all(TIME.fullmatch(thread[name]) for name in ("created_at", "updated_at", "state_updated_at"))
    assert web.get(f"{mount.prefix}/threads/{thread['thread_id']}").get_json() == thread


def test_without_a_body(web: FlaskClient) -> None:
    """A POST without a body creates a thread with every default."""
    assert web.post("/threads").get_json()["metadata"] == {}


def test_null_metadata(web: FlaskClient) -> None:
    """``metadata: null`` is none at all."""
    assert web.post("/threads", json={"metadata": None, "thread_id": None}).get_json()["metadata"] == {}


def test_both_mounts_show_the_same_threads(web: FlaskClient, thread: str) -> None:
    """A mount is a table of defaults, not a world of its own."""
    assert web.get(f"/threads/{thread}").get_json() == web.get(f"/api/threads/{thread}").get_json()


def test_chosen_id(web: FlaskClient) -> None:
    """A client may choose the id; it is kept in canonical spelling."""
    chosen = str(uuid4())
    assert web.post("/threads", json={"thread_id": chosen.upper()}).get_json()["thread_id"] == chosen


def test_taken_id(web: FlaskClient, thread: str) -> None:
    """An id that is taken answers 409 and changes nothing."""
    answer = web.post("/threads", json={"thread_id": thread, "metadata": {"new": True}})
    assert detail(answer, 409) == f"Thread with ID {thread} already exists, or was deleted and is still being removed"
    assert web.get(f"/threads/{thread}").get_json()["metadata"] == {}


def test_do_nothing(web: FlaskClient, thread: str) -> None:
    """``if_exists: do_nothing`` answers the thread as it is."""
    body = {"thread_id": thread, "if_exists": "do_nothing", "metadata": {"new": True}}
    answer = web.post("/threads", json=body)
    assert answer.status_code == 200
    assert answer.get_json() == web.get(f"/threads/{thread}").get_json()
    assert answer.get_json()["metadata"] == {}


@pytest.mark.parametrize("if_exists", ["raise", "do_nothing"])
def test_strangers_id(web: FlaskClient, backend: Backend, if_exists: str) -> None:
    """Another owner's id stays taken, and nothing of theirs is told."""
    taken = make_thread(backend, STRANGER, secret="theirs").thread_id
    answer = web.post("/threads", json={"thread_id": str(taken), "if_exists": if_exists})
    assert detail(answer, 409) == f"Thread with ID {taken} already exists, or was deleted and is still being removed"


@pytest.mark.parametrize("path", ["", "/state", "/runs"])
def test_strangers_thread(web: FlaskClient, backend: Backend, path: str) -> None:
    """Another owner's thread looks like one that does not exist."""
    theirs, missing = make_thread(backend, STRANGER).thread_id, uuid4()
    for thread_id in (theirs, missing):
        answer = web.get(f"/threads/{thread_id}{path}")
        assert detail(answer, 404) == f"Thread with ID {thread_id} not found"


@pytest.mark.parametrize("text", NOT_IDS)
def test_not_an_id(web: FlaskClient, text: str) -> None:
    """A thread's id is a UUID and nothing but a UUID; a trailing line feed is refused too."""
    for mount in MOUNTS:
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/state"), ("POST", "/runs")):
            answer = web.open(f"{mount.prefix}/threads/{text}{path}", method=method)
            assert detail(answer, 422) == "Invalid thread ID: must be a UUID"


@pytest.mark.parametrize("value", [*NOT_IDS, f"{AN_ID}\n", "", 5, [], {}])
def test_not_an_id_in_a_body(web: FlaskClient, value: object) -> None:
    """The same holds for an id that the client chooses."""
    assert "Invalid thread ID: must be a UUID" in detail(web.post("/threads", json={"thread_id": value}), 422)


def test_uppercase_id(web: FlaskClient, thread: str) -> None:
    """An id may be written in capitals."""
    assert web.get(f"/threads/{thread.upper()}").get_json()["thread_id"] == thread


@by_mount
def test_delete(web: FlaskClient, backend: Backend, bell: SilentBell, mount: Mount) -> None:
    """A deleted thread is gone at once, with its runs; so it is for whoever deletes it again."""
    run = make_run(backend, LOCAL_USER)
    path = f"{mount.prefix}/threads/{run.thread_id}"
    gone = web.delete(path)
    assert (gone.status_code, gone.data) == (204, b"")
    assert bell.sweeps == 1
    for missing in (path, f"{path}/runs", f"{path}/state"):
        detail(web.get(missing), 404)
    detail(web.get(f"{path}/runs/{run.run_id}"), 404)
    detail(web.delete(path), 404)


@by_mount
def test_state_of_an_untouched_thread(web: FlaskClient, thread: str, mount: Mount) -> None:
    """A thread that no graph has touched has the empty state; no worker is needed to say so."""
    assert web.get(f"{mount.prefix}/threads/{thread}/state").get_json() == EMPTY_STATE


def test_state_without_a_worker(web: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no state worker answers in time the client is told to come back."""
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 0.1)
    answer = web.get(f"/threads/{make_run(backend, LOCAL_USER).thread_id}/state")
    detail(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_state_without_a_broker(web: FlaskClient, backend: Backend, bell: SilentBell) -> None:
    """A question that cannot be sent is answered at once."""
    thread_id = make_run(backend, LOCAL_USER).thread_id
    bell.broken = True
    answer = web.get(f"/threads/{thread_id}/state")
    detail(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
