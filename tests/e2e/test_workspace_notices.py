"""What the workspace says of the connection, of missing workers, and of what it cannot draw."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.e2e.workspace import Workspace
from tests.live import Live

_ALONE = """
const ask = window.fetch;
const nobody = () => Response.json({ ok: false, parts: { runs: "nobody is there" } }, { status: 503 });
window.fetch = (to, ...more) => (String(to).endsWith("/ready") ? Promise.resolve(nobody()) : ask(to, ...more));
"""
"""The server would say so itself when its worker has been silent for 20 s."""
_NO_TITLE = "Object.defineProperty(document, 'title', { set() { throw new Error('There is no title'); } });"
_ODD: list[Any] = [
    {"type": "human", "id": "q", "content": "What now?"},
    {
        "type": "ai",
        "id": "calls",
        "content": "Two calls.",
        "tool_calls": [{"id": "1", "name": {"no": "name"}, "args": {}}, {"id": "2", "name": "good", "args": {}}],
    },
    {"type": "ai", "id": "nobody", "name": {"no": "speaker"}, "content": "Who says this?"},
    None,
    {"type": "ai", "id": "end", "content": "The end."},
]
"""Messages that a graph with a state of its own may keep; names that are none cannot be drawn."""


@pytest.fixture
def workspace(page: Page) -> Workspace:
    """The workspace of somebody who is signed in; nothing is open yet."""
    return Workspace(page)


@contextmanager
def no_worker(live: Live, page: Page) -> Iterator[None]:
    """All workers stand still until the end of the block, and the page is told that none is there."""
    page.run(_ALONE)
    workers = live.pids("worker")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def look_again(page: Page) -> None:
    """Somebody comes back to the tab: it looks at once what is new, not only every few seconds."""
    page.run("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_server_that_is_away_is_told_at_rest_and_comes_back_by_itself(
    workspace: Workspace, watching: Watched
) -> None:
    watching.allow("Failed to load resource", "ERR_", "Failed to fetch")
    workspace.open().say("count 1 0")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    workspace.page.run("window.isSame = true")
    workspace.page.be_offline(True)
    look_again(workspace.page)
    seen = workspace.until(lambda now: "away" in now.notices)
    assert (seen.phase, seen.notices) == ("resting", ["away"])
    assert workspace.page.text(".ws-notice") == "Not connected. Trying again."
    workspace.page.be_offline(False)
    workspace.until(lambda now: now.notices == [])
    assert workspace.page.run("return window.isSame")


def test_a_message_that_no_worker_takes_says_so_until_one_does(workspace: Workspace, live: Live) -> None:
    workspace.open()
    with no_worker(live, workspace.page):
        workspace.say("count 300 0.1")
        workspace.until(lambda now: now.phase == "running" and len(workspace.thread_id) == 36)
        look_again(workspace.page)
        workspace.until(lambda now: (now.notices, now.phase, now.status) == (["waiting"], "running", "waiting"))
        said = "No worker is running: the run begins as soon as there is one."
        assert workspace.page.text(".ws-notice") == said
    workspace.until(lambda now: (now.notices, now.phase, now.status) == ([], "running", "running"))
    workspace.page.press("Stop")
    workspace.until(lambda now: now.is_resting)


def test_what_cannot_be_drawn_says_so_in_its_place(workspace: Workspace, live: Live, watching: Watched) -> None:
    """With what there is of it; all the rest is there."""
    watching.allow("React error #31")  # an object where a text has to be
    odd: list[Any] = [{"updates": [{"values": {"messages": _ODD}, "as_node": "fill"}]}]
    workspace.open(live.client().threads.create(graph_id="odd", supersteps=odd)["thread_id"])
    page = workspace.page
    page.until("The end.")
    assert page.texts(".broken") == ["This part cannot be shown."] * 2
    assert page.texts(".tool-name") == ["good"]
    kinds = page.run("return [...document.querySelectorAll('.ws-row')].map((row) => row.dataset.type ?? '')")
    assert kinds == ["human", "ai", "", "object", "ai"]
    for place, told in enumerate(['"no": "name"', '"content": "Who says this?"']):
        page.run("document.querySelectorAll('.broken > summary')[arguments[0]].click()", place)
        page.until(lambda told=told: told in page.text(".ws-log"))
    workspace.write("a thought")
    assert workspace.look().draft == "a thought"


def test_a_page_that_has_stopped_working_keeps_what_was_written(workspace: Workspace, watching: Watched) -> None:
    watching.allow("There is no title")
    workspace.open().write("half a thought")
    page = workspace.page
    broken = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=_NO_TITLE)["identifier"]
    page.reload()
    page.until("This page has stopped working")
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=broken)
    page.press("Reload")
    assert workspace.until(lambda seen: seen.is_ready).draft == "half a thought"
    assert page.run("return document.querySelector('#ws-text').selectionStart") == len("half a thought"), "to go on"
