"""What people read of a run while its worker is killed: pages and API say the same, and nothing is hushed up."""

from pathlib import Path

from tests.chaos.conftest import until, until_stored
from tests.conftest import wait_for
from tests.integration.web.seen import text, word_in_list, word_on_page
from tests.live import Live
from tests.traces import hold, let_go

STATUS = {"Waiting": "pending", "Running": "running", "Done": "success"}
PROMISED_SECONDS = 20.0
"""Lease and a look of the clock, with room for a busy machine; here ``serve`` sees the death by itself."""


def test_list_page_and_api_agree_while_a_worker_is_killed(live: Live, thread: str, trace: Path) -> None:
    hold(trace, "two")
    run = live.client().runs.create(thread, "steps", input={"trace": str(trace)}, stream_mode="tasks")
    page, api = f"/console/runs/{run['run_id']}", f"/threads/{thread}/runs/{run['run_id']}"
    seen: list[str] = []

    def look() -> str:
        """What all of them say of the same moment."""
        http = live.http()
        for _ in range(20):
            before = http.get(api).json()
            told = word_in_list(http.get(f"/console/runs?thread={thread}").text, run["run_id"]), http.get(page).text
            if http.get(api).json() == before:
                break
        assert (told[0], before["status"]) == (word_on_page(told[1]), STATUS[told[0]])
        seen.append(told[0])
        return f"{told[0]} attempt {before['attempt']}"

    until(live, run, "running")
    until_stored(live, thread, "two")
    assert look() == "Running attempt 1"
    live.kill("worker")
    wait_for(lambda: look() != "Running attempt 1", seconds=PROMISED_SECONDS, what="the run to leave its dead worker")
    let_go(trace)
    wait_for(lambda: look() == "Done attempt 2", what="the run's end")
    told = text(live.http().get(page).text).partition("Timeline")[2]
    assert "Worker lost" in told
    assert told.index("four") < told.index("Worker lost") < told.index("Done ran")
