"""Two users of one live server: what lasts (streams, logs, tombstones, stores, checkpoints) is as separate as rows are.

The rows are walked in ``tests/integration/identity/test_stranger.py``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.chaos.conftest import until
from tests.conftest import SETUPS, live_on, wait_for
from tests.databases import Databases
from tests.live import Live
from tests.sse import read_frames
from tests.traces import hold, let_go, lines

PASSWORD = "four words nothing connects"
FOLLOWING = [
    ("/threads/{thread}/runs/{run}/stream", {}),
    ("/threads/{thread}/runs/{run}/stream", {"Last-Event-ID": "-1"}),
    ("/threads/{thread}/runs/{run}/join", {}),
    ("/threads/{thread}/runs/{run}/join", {"Accept": "text/event-stream"}),
    ("/threads/{thread}/runs/{run}/events?wait=5", {}),
    ("/runs/{run}/stream", {}),
    ("/runs/{run}/stream", {"Last-Event-ID": "1"}),
]
"""The ways to hear what a run says."""


@pytest.fixture(scope="module", params=SETUPS)
def live(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server with accounts on both databases; the owner is its administrator."""
    server = live_on(request.param, databases, tmp_path_factory.mktemp("strangers"), auth="accounts")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stranger(live: Live) -> Iterator[httpx.Client]:
    """Another user, made by the command line while the server runs."""
    live.command("users", "create", "stranger@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    key = live.command("keys", "create", "stranger@example.com", "--name", "test").strip()
    with httpx.Client(base_url=live.url, headers={"x-api-key": key}, timeout=30) as client:
        yield client


@pytest.fixture
def owner(live: Live) -> httpx.Client:
    """Whose things they are."""
    return live.http()


def answer(client: httpx.Client, path: str, headers: dict[str, str], **ids: str) -> tuple[int, str]:
    """Status and body, without the ids."""
    told = client.get(path.format(**ids), headers=headers)
    body = told.text
    for each in ids.values():
        body = body.replace(each, "<id>")
    return told.status_code, body


def assert_hears_nothing(stranger: httpx.Client, run: dict[str, Any]) -> None:
    for prefix in ("", "/api"):
        for path, headers in FOLLOWING:
            told = answer(stranger, prefix + path, headers, thread=run["thread_id"], run=run["run_id"])
            unused = answer(stranger, prefix + path, headers, thread=str(uuid4()), run=str(uuid4()))
            assert told == unused, path
            assert told[0] == 404, path


def start(client: httpx.Client, graph: str, input: Any, *, thread: str | None = None, **fields: Any) -> dict[str, Any]:  # noqa: A002
    path = "/runs" if thread is None else f"/threads/{thread}/runs"
    told = client.post(path, json={"assistant_id": graph, "input": input, **fields})
    assert told.status_code == 200, told.text
    return dict(told.json())


def wait(client: httpx.Client, graph: str, input: Any, *, thread: str | None = None, **fields: Any) -> Any:  # noqa: A002
    path = "/runs/wait" if thread is None else f"/threads/{thread}/runs/wait"
    told = client.post(path, json={"assistant_id": graph, "input": input, **fields})
    assert told.status_code == 200, told.text
    return told.json()


def new_thread(client: httpx.Client) -> str:
    return str(client.post("/threads", json={}).json()["thread_id"])


def test_a_run_is_heard_by_its_owner_alone(
    live: Live, owner: httpx.Client, stranger: httpx.Client, trace: Path
) -> None:
    """While it runs, when it has ended, on each way to follow it; nor can it be stopped meanwhile."""
    hold(trace, "two")
    run = start(owner, "steps", {"trace": str(trace)}, thread=new_thread(owner))
    wait_for(lambda: lines(trace), what="the first step")
    assert_hears_nothing(stranger, run)
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    assert stranger.post(f"{path}/cancel").status_code == 404
    assert stranger.get(f"{path}/stream?action=interrupt").status_code == 404
    assert stranger.delete(path).status_code == 404
    assert stranger.post("/runs/cancel", json={"status": "all"}).status_code == 404
    let_go(trace)
    until(live, run, "success")
    assert_hears_nothing(stranger, run)
    with owner.stream("GET", f"{path}/stream", headers={"Last-Event-ID": "-1"}) as response:
        assert len(list(read_frames(response))) > 4
    assert lines(trace) == ["one", "two", "three", "four"]


def test_what_is_left_of_a_run_is_its_owners(owner: httpx.Client, stranger: httpx.Client) -> None:
    """A stateless run whose thread goes with it leaves a tombstone and a log."""
    run = start(owner, "steps", {}, on_completion="delete")
    path = f"/runs/{run['run_id']}/stream"
    wait_for(lambda: owner.get(f"/threads/{run['thread_id']}").status_code == 404, what="the thread's end")
    assert_hears_nothing(stranger, run)
    with owner.stream("GET", path, headers={"Last-Event-ID": "-1"}) as response:
        assert len(list(read_frames(response))) > 4


def test_a_foreign_checkpoint_is_as_good_as_none(owner: httpx.Client, stranger: httpx.Client) -> None:
    """On a thread of one's own, however the checkpoint is named: no state, no history, no fork of it."""
    theirs, mine = new_thread(owner), new_thread(stranger)
    wait(owner, "steps", {"done": ["a secret"]}, thread=theirs)
    wait(stranger, "steps", {"done": ["mine"]}, thread=mine)
    state = owner.get(f"/threads/{theirs}/state").json()
    foreign = state["checkpoint"]
    assert "a secret" in str(state["values"])
    tries: list[tuple[str, dict[str, Any]]] = [
        (f"/threads/{mine}/state/checkpoint", {"checkpoint": foreign}),
        (f"/threads/{mine}/history", {"checkpoint": foreign, "limit": 10}),
        (f"/threads/{mine}/history", {"before": {"configurable": foreign}, "limit": 10}),
        (f"/threads/{mine}/runs/wait", {"assistant_id": "steps", "input": {}, "checkpoint": foreign}),
        (f"/threads/{mine}/runs/wait", {"assistant_id": "steps", "checkpoint_id": foreign["checkpoint_id"]}),
        (f"/threads/{mine}/runs/wait", {"assistant_id": "steps", "input": {}, "config": {"configurable": foreign}}),
        (f"/threads/{mine}/state", {"values": {"done": ["x"]}, "as_node": "one", "checkpoint": foreign}),
    ]
    for path, body in tries:
        assert "a secret" not in stranger.post(path, json=body).text, (path, body)
    assert "a secret" not in stranger.get(f"/threads/{mine}/state/{foreign['checkpoint_id']}").text
    assert "a secret" not in stranger.get(f"/threads/{mine}/state").text
    assert owner.get(f"/threads/{theirs}/state").json() == state


def test_the_store_is_the_owners_also_after_a_crash(
    live: Live, owner: httpx.Client, stranger: httpx.Client, trace: Path
) -> None:
    """scenario 52: a run that is taken from a dead worker, or handed over, goes on with its owner's store items."""
    wait(owner, "noting", {"word": "owners"})
    thread = new_thread(stranger)
    hold(trace, "linger")
    run = start(stranger, "noting", {"word": "strangers", "trace": str(trace)}, thread=thread)
    wait_for(lambda: stranger.get(f"/threads/{thread}/state").json()["next"] == ["linger"], what="the first step")
    live.kill("worker")
    let_go(trace)
    path = f"/threads/{thread}/runs/{run['run_id']}"
    wait_for(lambda: stranger.get(path).json()["status"] == "success", what="the end")
    assert stranger.get(path).json()["attempt"] > 1
    assert stranger.get(f"/threads/{thread}/state").json()["values"]["before"] == []
    assert wait(stranger, "noting", {"word": "again"})["before"] == ["strangers"]
    assert wait(owner, "noting", {"word": "more"})["before"] == ["owners"]


def test_an_idempotency_key_is_its_owners(owner: httpx.Client, stranger: httpx.Client) -> None:
    """The same key for the same request makes a thing for each, and tells nobody of the other's."""
    key = {"Idempotency-Key": str(uuid4())}
    made = [client.post("/threads", json={}, headers=key) for client in (owner, stranger, owner, stranger)]
    ids = [each.json()["thread_id"] for each in made]
    assert ids[0] == ids[2] != ids[1] == ids[3]
    assert ["Idempotent-Replayed" in each.headers for each in made] == [False, False, True, True]
    other = stranger.post("/threads", json={"metadata": {"a": 1}}, headers={"Idempotency-Key": str(uuid4())})
    assert other.status_code == 200


def test_a_key_that_is_revoked_by_command_opens_nothing_a_second_later(live: Live, stranger: httpx.Client) -> None:
    del stranger  # whose account it is
    key = live.command("keys", "create", "stranger@example.com", "--name", "short").strip()
    headers = {"x-api-key": key}
    assert httpx.post(f"{live.url}/threads", json={}, headers=headers).status_code == 200
    live.command("keys", "revoke", key[:11])
    revoked = httpx.post(f"{live.url}/threads", json={}, headers=headers).status_code
    assert revoked == 401
