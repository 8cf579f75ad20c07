"""Every end of a run is told to its webhook by a live server, also when the clock dies on the way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deerflow.hooks.signing import keys_of, signature
from tests.chaos.conftest import until
from tests.conftest import wait_for
from tests.live import Live
from tests.receiver import HANG, Got, Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def start(live: Live, url: str, assistant: str, thread: bool = True, **body: Any) -> dict[str, Any]:  # noqa: FBT001, FBT002
    http = live.http()
    path = f"/threads/{http.post('/threads', json={}).json()['thread_id']}/runs" if thread else "/runs"
    answer = http.post(path, json={"assistant_id": assistant, "webhook": url, **body})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_every_end_is_told_once(live: Live, receiver: Receiver, trace: Path) -> None:
    """Success, failure, a question, a cancel, a rollback, and a stateless run whose thread goes with it."""
    url = receiver.url()
    runs = {
        "success": start(live, url, "steps", input={"trace": str(trace)}, metadata={"mark": 1}),
        "error": start(live, url, "faulty", input={"kind": "told"}),
        "asking": start(live, url, "asking", input={}),
        "cancel": start(live, url, "steps", input={"pause": 60}),
        "rollback": start(live, url, "steps", input={"pause": 60}),
        "stateless": start(live, url, "steps", thread=False, input={}),
    }
    for name, action in (("cancel", "interrupt"), ("rollback", "rollback")):
        until(live, runs[name], "running")
        live.client().runs.cancel(runs[name]["thread_id"], runs[name]["run_id"], action=action)
    receiver.wait(len(runs))
    got = {each.json["run_id"]: each for each in receiver.got}
    told = {name: got[run["run_id"]].json for name, run in runs.items()}
    assert {name: each["status"] for name, each in told.items()} == {
        "success": "success",
        "error": "error",
        "asking": "success",
        "cancel": "interrupted",
        "rollback": "interrupted",
        "stateless": "success",
    }
    assert told["success"]["values"]["done"] == ["one", "two", "three", "four"]
    assert told["success"]["error"] is None
    assert told["error"]["error"] == {"error": "ValueError", "message": "boom happened"}
    assert told["error"]["values"]["before"] == "kept"
    assert told["asking"]["values"] == {"log": ["before"]}
    assert told["cancel"]["error"]["error"] == "UserInterrupt"
    assert told["rollback"]["error"]["error"] == "UserRollback"
    shown = live.client().runs.get(runs["success"]["thread_id"], runs["success"]["run_id"])
    assert shown.items() <= told["success"].items()
    assert live.http().get(f"/threads/{runs['stateless']['thread_id']}").status_code == 404
    assert len(receiver.got) == len(runs)
    for each in receiver.got:
        assert_signed(live, each)


def assert_signed(live: Live, got: Got) -> None:
    """By the secret that a server with its own data folder has made; with a shared database there is none."""
    file = live.folder / "data" / "webhook-secret"
    if file.exists():
        expected = signature(keys_of(file.read_text()), got.id, int(got.headers["webhook-timestamp"]), got.body)
        assert got.headers["webhook-signature"] == expected
    else:
        assert "webhook-signature" not in got.headers


def test_killed_clock_tells_it_later(live: Live, receiver: Receiver) -> None:
    """kill -9 between the sending and the noting: it comes again, with the same id."""
    receiver.answers.append(HANG)
    run = start(live, receiver.url(), "steps", input={})
    (first,) = receiver.wait()
    before = live.pids("clock")
    live.kill("clock")
    wait_for(lambda: live.pids("clock") and not set(live.pids("clock")) & set(before), what="a new clock")
    again = receiver.wait(2)[1]
    assert again.id == first.id
    assert again.json["run_id"] == run["run_id"]
    assert again.headers["webhook-timestamp"] > first.headers["webhook-timestamp"]
