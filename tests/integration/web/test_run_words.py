"""List, page and API agree about a run at every moment of its life, killed workers included."""

from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import RunStatus
from deerflow.runtime.reap import reap
from deerflow.settings import Settings
from tests.factories import LOCAL_USER, claim_run, finish_run, make_app, make_run, make_thread, row_of
from tests.integration.web.seen import LIST, get, pills, text, word_in_list, word_on_page

STATUS = {
    "Waiting": "pending", "Running": "running", "Done": "success", "Needs approval": "success", "Failed": "error",
    "Worker lost": "error", "Timed out": "timeout", "Stopped": "interrupted",
}  # fmt: skip
"""What the API says where pages say this."""

PILL = {"Timed out": "Failed", "Worker lost": "Failed"}
ASKED = ThreadHead({}, ("ask",), {"task": [{"id": "1", "value": "ok?"}]})


class Watched:
    """One thread, and what is said of the run on it that is looked at."""

    def __init__(self, client: FlaskClient, backend: Backend) -> None:
        self.client, self.backend = client, backend
        self.thread_id: UUID = make_thread(backend, LOCAL_USER).thread_id

    def run(self) -> Run:
        """One more run on the thread."""
        return make_run(self.backend, LOCAL_USER, thread_id=self.thread_id)

    def claimed(self, run: Run, **claim: Any) -> Run:
        """A worker has it."""
        found = claim_run(self.backend, row_of(self.backend, run), **claim)
        assert found is not None
        return found

    def says(self, run: Run, word: str, more: str = "") -> None:
        """List, pills, page and API say this now."""
        page, listed = get(self.client, f"{LIST}/{run.run_id}"), get(self.client, LIST)
        told = self.client.get(f"/threads/{self.thread_id}/runs/{run.run_id}").get_json()
        assert (word_in_list(listed, run.run_id), word_on_page(page), told["status"]) == (word, word, STATUS[word])
        assert pills(listed)[PILL.get(word, word)] >= 1
        assert sum(pills(listed).values()) == 2 * pills(listed)["All"], "each run is under one pill"
        assert more in text(page)
        assert more in text(listed)


@pytest.fixture
def watched(settings: Settings, backend: Backend) -> Watched:
    return Watched(make_app(settings, backend).test_client(), backend)


@pytest.mark.parametrize(
    ("ending", "word"),
    [
        ({}, "Done"),
        ({"head": ASKED}, "Needs approval"),
        ({"status": RunStatus.ERROR, "error": {"error": "ValueError", "message": "boom"}}, "Failed"),
        ({"status": RunStatus.TIMEOUT, "error": {"error": "TimeoutError", "message": "too long"}}, "Timed out"),
    ],
)
def test_from_start_to_end(watched: Watched, ending: dict[str, Any], word: str) -> None:
    run = watched.run()
    watched.says(run, "Waiting")
    claimed = watched.claimed(run)
    watched.says(run, "Running")
    assert finish_run(watched.backend, claimed, **ending)
    watched.says(run, word)


def test_stopped_while_it_waits(watched: Watched) -> None:
    run = watched.run()
    watched.client.post(f"{LIST}/{run.run_id}/stop", data={"action": "interrupt"})
    watched.says(run, "Stopped")


def test_stopped_while_it_runs(watched: Watched) -> None:
    """Until its worker has heard of it, it is running and being stopped."""
    claimed = watched.claimed(watched.run())
    watched.client.post(f"{LIST}/{claimed.run_id}/stop", data={"action": "interrupt"})
    watched.says(claimed, "Running", "being stopped")
    assert finish_run(watched.backend, claimed, status=RunStatus.INTERRUPTED)
    watched.says(claimed, "Stopped")


def test_killed_workers(watched: Watched) -> None:
    """With its lease it leaves "running"; it goes on elsewhere, until too many workers have died of it."""
    run, limit = watched.run(), watched.backend.rules.crash_limit
    for _ in range(limit):
        watched.claimed(run, lease_seconds=-1.0)
        watched.says(run, "Running")
        reap(watched.backend)
        if row_of(watched.backend, run).crashes < limit:
            watched.says(run, "Waiting", "worker lost, goes on soon")
    watched.says(run, "Worker lost")


def test_one_thread_in_all_of_them(watched: Watched) -> None:
    """A question is the last run's alone: an older one that had asked has long been done."""
    asking = watched.claimed(watched.run())
    finish_run(watched.backend, asking, head=ASKED)
    watched.says(asking, "Needs approval")
    answer = watched.run()
    watched.says(asking, "Done")
    watched.says(answer, "Waiting")
    watched.client.post(f"{LIST}/{answer.run_id}/stop", data={"action": "rollback"})
    get(watched.client, f"{LIST}/{answer.run_id}", 404)
