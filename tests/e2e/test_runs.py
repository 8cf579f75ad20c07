"""Runs in a browser: what comes by itself, and stopping without a page being loaded by hand."""

from typing import Any

from tests.e2e.page import LIVE_SECONDS, Page
from tests.live import Live

PLACES = "return [...document.querySelectorAll('#log li')].map((each) => Number(each.dataset.place))"


def begun(live: Live, graph: str, **asked: Any) -> dict[str, Any]:
    """A run on a thread of its own."""
    client = live.client()
    thread_id = client.threads.create()["thread_id"]
    return dict(client.runs.create(thread_id, graph, **asked))


def test_events_and_the_end_come_by_themselves(page: Page, live: Live) -> None:
    """Each event once and in its order, those that were there and those that came; then how it ended."""
    run = begun(live, "steps", input={"pause": 0.4}, stream_mode=["tasks", "values", "custom"])
    page.open(f"/console/runs/{run['run_id']}")
    page.run("window.isSame = true")
    page.until(lambda: page.text("#run .badge") == "Done")
    events = live.http().get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/events").json()["events"]
    page.until(lambda: page.run(PLACES) == [int(event["id"]) for event in events])
    assert page.texts("#log .name") == [event["event"] for event in events]
    assert page.texts(".timeline .step code") == ["one", "two", "three", "four"]
    assert page.run("return window.isSame"), "it was not loaded again"
    page.click("#log li:last-child summary")
    page.until(lambda: '"done"' in page.text("#log li:last-child pre"))


def test_nodes_come_from_the_checkpoints_where_the_log_has_none(page: Page, live: Live) -> None:
    """By themselves as soon as the run is over: with the page, and while somebody looks."""

    def nodes() -> list[str]:
        return page.texts(".timeline .step code")

    run = begun(live, "steps", input={"pause": 0.3}, stream_mode="values")
    page.open(f"/console/runs/{run['run_id']}")
    page.until(lambda: nodes() == ["one", "two", "three", "four"])
    assert "between two checkpoints" in page.text("#steps")
    page.open(f"/console/runs/{run['run_id']}")
    page.until(lambda: nodes() == ["one", "two", "three", "four"])


def test_of_very_many_events_the_newest_stay(page: Page, live: Live) -> None:
    """And the link to older ones begins where the list does."""
    config = {"configurable": {"words": 650, "pause": 0.003}}
    run = begun(live, "chat", input={"messages": []}, config=config, stream_mode="messages-tuple")
    page.open(f"/console/runs/{run['run_id']}")
    page.until(lambda: page.text("#run .badge") == "Done")
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/events"
    last = int(live.http().get(path, params={"limit": 1000}).json()["events"][-1]["id"])
    assert last > 650
    page.until(lambda: page.run(PLACES) == list(range(last - 499, last + 1)))
    page.press("Show older ones")
    page.until(lambda: page.run(PLACES)[-1:] == [last - 500])


def test_a_run_that_starts_elsewhere_is_seen_and_stopped(page: Page, live: Live) -> None:
    """By itself and without a reload; what is ticked stays ticked."""
    first = begun(live, "steps", input={"pause": 60})
    page.open(f"/console/runs?thread={first['thread_id']}")
    page.until("Running")
    page.click("#list input[type=checkbox]")
    second = live.client().runs.create(first["thread_id"], "steps", input={"pause": 60})
    page.until(lambda: len(page.texts("#list tbody tr")) == 2, seconds=LIVE_SECONDS)
    assert page.run("return [...document.querySelectorAll('#list input')].map((each) => each.checked)") == [False, True]
    assert page.run("return document.activeElement.id").startswith("tick-"), "and the focus is where it was"
    page.press("Stop selected")
    page.press("Stop", within=".bulk .asked")
    page.until("1 run was told to stop.")
    page.until("Stopped", seconds=LIVE_SECONDS)
    live.client().runs.cancel(first["thread_id"], second["run_id"])
