"""Many tabs over plain HTTP/1.1, where a browser has six connections to a server."""

from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.e2e.workspace import Workspace
from tests.live import Live


def test_ten_idle_tabs_hold_no_connection(page: Page, live: Live, watching: Watched) -> None:
    """Nothing that they have asked for is still under way; so an eleventh streams at once."""
    client = live.client()
    thread = client.threads.create()["thread_id"]
    client.runs.wait(thread, "talking", input={"messages": [{"type": "human", "content": "count 3 0"}]})
    workspace = Workspace(page)
    for place in ["new?agent=talking", *[thread] * 9]:
        workspace.open(place)
        watching.new_tab()
    page.until(lambda: watching.unanswered() == [])
    workspace.open().say("count 5 0")
    workspace.until_resting(["human", "count 5 0"], ["ai", "w0 w1 w2 w3 w4"])


def test_a_stream_is_seen_as_one(page: Page, watching: Watched) -> None:
    """Else the test above could not fail."""
    workspace = Workspace(page).open()
    workspace.say("count 1000 0.05")
    workspace.until(lambda seen: "w3" in seen.answer)
    assert any("/stream" in url for url in watching.unanswered())
    page.press("Stop")
    workspace.until(lambda seen: seen.is_resting)
    page.until(lambda: watching.unanswered() == [])
