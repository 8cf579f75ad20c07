"""The list of threads in a browser: what happens elsewhere comes by itself, and takes nothing out of one's hands."""

from uuid import uuid4

from tests.conftest import wait_for
from tests.e2e.page import LIVE_SECONDS, Page
from tests.e2e.watched import Watched
from tests.live import Live


def test_a_run_elsewhere_shows_and_what_is_ticked_stays_so(page: Page, live: Live) -> None:
    """By itself, without a reload."""
    word = f"w{uuid4().hex[:8]}"
    client = live.client()
    for number in (1, 2):
        client.threads.create(metadata={"title": f"{word} {number}"})
    page.open(f"/console/threads?q={word}").until(lambda: len(page.texts(".row-link")) == 2)
    page.run("document.querySelector('tbody input').click(); window.is_same_page = true;")
    assert page.has(".several"), "what can be done with those that are ticked"
    thread = client.threads.create()["thread_id"]
    client.runs.create(thread, "talking", input={"messages": [{"type": "human", "content": f"count 1 {word}"}]})
    shown = [f"count 1 {word}", f"{word} 2", f"{word} 1"]
    page.until(lambda: page.texts(".row-link") == shown, seconds=LIVE_SECONDS)
    assert page.run("return window.is_same_page && document.querySelectorAll('tbody input:checked').length") == 1
    page.run("document.querySelector('[data-all]').click()")
    page.press("Delete", within=".several")
    page.press("Delete the selected threads", within=".several")
    page.until("No thread matches")
    wait_for(lambda: not client.threads.search(metadata={"title": f"{word} 1"}), what="its deletion")


def test_a_name_is_written_at_once_over_the_old_one(page: Page, live: Live) -> None:
    old, new = (f"w{uuid4().hex[:8]}" for _ in range(2))
    thread = live.client().threads.create(metadata={"title": old})["thread_id"]
    page.open(f"/console/threads?q={old}").click("tbody .menu summary")
    page.press("Rename", within="tbody")
    page.until(lambda: page.run("return document.activeElement.name") == "title")
    page.keys(new, "ENTER")
    page.until("No thread matches")
    assert new in page.open(f"/console/threads/{thread}").text("h1")


def test_a_server_that_is_away_is_told_and_comes_back_by_itself(page: Page, watching: Watched) -> None:
    watching.allow("Failed to load resource", "ERR_", "Failed to fetch")
    page.open("/console/threads")
    page.run("window.is_same_page = true")
    page.be_offline(True)
    page.until("Not connected. Trying again…")
    page.be_offline(False)
    page.until(lambda: page.run("return document.getElementById('away').hidden"))
    assert page.run("return window.is_same_page")
