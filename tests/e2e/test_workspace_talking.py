"""Talking in the workspace: words as they come, keys, stop, reload, drafts."""

import time
from tempfile import NamedTemporaryFile

import pytest
from selenium.webdriver import Keys

from tests.conformance.site import site
from tests.conftest import wait_for
from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.e2e.workspace import Workspace, counted
from tests.live import Live

LONG = "count 2000 0.05"
"""An answer of which nobody sees the end."""


@pytest.fixture
def workspace(page: Page) -> Workspace:
    """The workspace of somebody who is signed in; nothing is open yet."""
    return Workspace(page)


def statuses(live: Live, thread_id: str) -> list[str]:
    """Those of a thread's runs, newest first, as the API tells."""
    return [str(run["status"]) for run in live.client().runs.list(thread_id)]


def test_the_first_message_makes_the_thread_and_its_answer_comes_word_by_word(workspace: Workspace) -> None:
    """Without a reload; for the ear it is said once, and whole."""
    workspace.open()
    workspace.page.run("window.isSame = true")
    workspace.watch_growth()
    ear = "return document.getElementById('ws-ear').textContent"
    with NamedTemporaryFile(dir="/tmp") as held:  # a short name: the title has all of it
        wish = f"count 60 0.05 {held.name}"
        workspace.say(wish)
        workspace.until(lambda seen: seen.lines and seen.lines[0] == ["human", wish])
        workspace.until(lambda seen: seen.answer)
        workspace.page.until(lambda: workspace.page.run(ear) == "Answering…")
    workspace.until_resting(["human", wish], ["ai", counted(60)])
    assert len(workspace.growth) >= 10
    assert workspace.page.run("return window.isSame")
    assert len(workspace.thread_id) == 36
    wait_for(lambda: workspace.page.run(ear).strip() == counted(60))
    assert workspace.page.run("return document.querySelector('.ws-log').closest('[aria-live]')") is None
    workspace.page.until(lambda: workspace.page.run("return document.title") == f"{wish} · DeerFlow")


def test_keys_and_drafts(workspace: Workspace) -> None:
    """Shift+Enter breaks the line, an Enter of a composition sends nothing, and a draft outlives a reload."""
    workspace.open()
    workspace.write("one")
    workspace.page.find("#ws-text").send_keys(Keys.SHIFT + Keys.ENTER)
    workspace.write("two")
    workspace.page.run("""
      const key = { key: "Enter", bubbles: true, cancelable: true, isComposing: true };
      document.getElementById("ws-text").dispatchEvent(new KeyboardEvent("keydown", key));
    """)
    workspace.reload()
    assert workspace.until(lambda seen: seen.draft == "one\ntwo").lines == []
    workspace.page.find("#ws-text").send_keys(Keys.CONTROL, "a")
    workspace.say("count 1 0")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    workspace.reload()
    assert workspace.look().draft == ""


def test_stop_lets_what_was_said_stand(workspace: Workspace, live: Live) -> None:
    """By Esc; the run is stopped on the server, long before its end, and a reload changes nothing."""
    workspace.open()
    workspace.say(LONG)
    workspace.until(lambda seen: "w4" in seen.answer)
    workspace.page.keys("ESCAPE")
    seen = workspace.until(lambda now: now.is_resting and now.stopped and now.status == "stopped")
    assert seen.stopped == ["interrupted"]
    wait_for(lambda: statuses(live, workspace.thread_id) == ["interrupted"], what="the run to stop")
    assert seen.answer == counted(len(seen.answer.split()))
    workspace.reload()
    workspace.until(lambda now: now.stopped and now.lines == seen.lines)
    assert "Stopped here" in workspace.page.text(".ws-log")


def test_reload_in_mid_stream_and_another_tab(workspace: Workspace, live: Live, watching: Watched) -> None:
    """Both show the answer from its beginning, once, as it goes on; and both can stop it."""
    workspace.open()
    workspace.say(LONG)
    workspace.until(lambda seen: "w4" in seen.answer)
    workspace.reload()
    seen = workspace.until(lambda now: now.phase == "running" and "w6" in now.answer)
    assert seen.answer == counted(len(seen.answer.split()))
    first, thread_id = workspace.page.driver.current_window_handle, workspace.thread_id
    watching.new_tab()
    workspace.open(thread_id)
    workspace.until(lambda now: now.phase == "running" and "w8" in now.answer)
    workspace.page.press("Stop")
    workspace.until(lambda now: now.is_resting and now.stopped)
    workspace.page.driver.switch_to.window(first)
    workspace.until(lambda now: now.is_resting and now.stopped)
    wait_for(lambda: statuses(live, thread_id) == ["interrupted"], what="the run to stop")


def test_a_network_that_is_away_for_ten_seconds_costs_no_word(
    workspace: Workspace, live: Live, watching: Watched
) -> None:
    """Quietly: no second run, and the answer is whole."""
    watching.allow("Failed to load resource", "ERR_", "TypeError", "Failed to fetch", "network error")
    with site(None, to=live.port) as line:
        watching.also(line.origin)
        workspace.page.origin = line.origin
        workspace.open()
        workspace.say("count 130 0.1")
        workspace.until(lambda seen: "w4" in seen.answer)
        workspace.page.be_offline(True)
        line.cut()
        away_since = time.monotonic()
        assert workspace.until(lambda seen: "away" in seen.notices).phase == "running"
        assert workspace.page.text(".ws-notice") == "Reconnecting…"
        wait_for(lambda: time.monotonic() - away_since > 10, what="the ten seconds")
        assert workspace.look().notices == ["away"]
        workspace.page.be_offline(False)
        said = [["human", "count 130 0.1"], ["ai", counted(130)]]
        workspace.until(lambda seen: seen.is_resting and seen.lines == said and seen.notices == [])
        assert statuses(live, workspace.thread_id) == ["success"]
        workspace.page.driver.get("about:blank")


def test_what_is_sent_meanwhile_waits_is_taken_back_or_goes_first(workspace: Workspace, live: Live) -> None:
    workspace.open()
    workspace.say(LONG)
    workspace.until(lambda seen: "w2" in seen.answer)
    workspace.say("count 2 0")
    workspace.until(lambda seen: seen.queue == ["count 2 0"])
    workspace.say("count 3 0")
    workspace.until(lambda seen: seen.queue == ["count 2 0", "count 3 0"])
    workspace.page.press("Take back", within=".ws-queue li:last-child")
    workspace.until(lambda seen: seen.queue == ["count 2 0"])
    workspace.page.press("Stop")
    said = ["human", "count 2 0"], ["ai", "w0 w1"]
    seen = workspace.until(lambda now: now.is_resting and now.lines[-2:] == list(said))
    assert seen.lines[0] == ["human", LONG]
    assert seen.stopped == ["interrupted"]
    workspace.say(LONG)
    workspace.until(lambda now: now.phase == "running" and "w2" in now.answer)
    workspace.write("count 4 0")
    workspace.page.press("Stop and send")
    workspace.until(lambda now: now.is_resting and now.answer == counted(4))
    ended = ["success", "interrupted", "success", "interrupted"]
    wait_for(lambda: statuses(live, workspace.thread_id) == ended, what="the ends of all runs")
