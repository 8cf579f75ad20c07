"""The React hooks as they are published, in a page in Chromium: on the server's own origin and on another one."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome

from tests import chromium
from tests.conformance import javascript
from tests.conformance.cells import Cells
from tests.conformance.chat import Chat, Seen
from tests.conformance.conftest import went_well
from tests.conformance.site import site
from tests.conftest import wait_for
from tests.live import Live

pytestmark = [javascript.NEEDED, chromium.NEEDED]

HOOKS = {"classic-1.15": "react-classic", "classic-2.0": "react-classic", "v2-1.1": "react-v2"}
"""The hooks, and the client that each counts for."""
READS_ANEW = "classic-1.15"
"""After a stop this hook reads the state again and shows that alone: an unfinished answer is not in it."""
HEARS_ANEW = "v2-1.1"
"""After a reload this hook hears the thread's runs again, and shows what a stopped one has said."""
LONG = "count 2000 0.05"
"""An answer of which nobody sees the end."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the page."""
    return javascript.bundle(tmp_path_factory.mktemp("page"))


@pytest.fixture(params=[f"{hook} {origin}" for hook in HOOKS for origin in ("same-origin", "cross-origin")])
def chat(request: pytest.FixtureRequest, live: Live, cells: Cells, pages: Path, browser: Chrome) -> Iterator[Chat]:
    """The page, not yet opened; the calls that it makes become cells."""
    hook, origin = request.param.split()
    same = origin == "same-origin"
    key = {"key": live.api_key} if live.api_key else {}
    with site(pages, to=live.port if same else None) as served:
        page = Chat(browser, served.origin, hook=hook, api=served.origin if same else live.url, **key)
        yield page
        cells.record_calls(HOOKS[hook], page.calls(), ok=went_well(request.node))
        browser.get("about:blank")


def counted(words: int) -> str:
    """What ``count`` answers."""
    return "".join(f"w{i} " for i in range(words))


def _status(http: httpx.Client, thread: str | None) -> str:
    (run,) = http.get(f"/threads/{thread}/runs").json()
    return str(run["status"])


def test_tokens_come_one_by_one(chat: Chat) -> None:
    """The first message makes the thread; the answer grows word by word; the page learns the run's id."""
    chat.open()
    chat.say("count 16 0.1")
    said = ["human", "count 16 0.1"], ["ai", counted(16)]
    seen = chat.until_idle(*said)
    assert seen.steps >= 4
    assert seen.run
    chat.say("count 1 0")
    chat.until_idle(*said, ["human", "count 1 0"], ["ai", "w0 "])


def test_stop(chat: Chat, http: httpx.Client) -> None:
    """The run stops on the server; the page shows what was said as far as the hook keeps it, and so after a reload."""
    chat.open()
    chat.say(LONG)
    seen = chat.until(lambda seen: seen.words >= 3)
    wait_for(lambda: http.get(f"/threads/{seen.thread}/state").json()["values"], what="the question to be stored")
    chat.press("#stop")
    seen = chat.until(lambda seen: seen.state == "idle")
    wait_for(lambda: _status(http, seen.thread) == "interrupted", what="the run to stop")
    if chat.hook == READS_ANEW:
        chat.until_idle(["human", LONG])
    else:
        seen = chat.until(lambda seen: _is_stopped(seen, least=3))
    chat.reload()
    if chat.hook == HEARS_ANEW:
        chat.until(lambda now: _is_stopped(now, least=seen.words))
    else:
        chat.until_idle(["human", LONG])


def _is_stopped(seen: Seen, *, least: int) -> bool:
    """Whether the page shows the question and the beginning of its answer, of at least so many words."""
    said = ["ai", counted(seen.words)]
    return seen.state == "idle" and least <= seen.words < 2000 and seen.lines == [["human", LONG], said]


def test_reload_in_mid_stream(chat: Chat, http: httpx.Client, tmp_path: Path) -> None:
    """The page comes back to the same run, and shows its answer from its beginning, once."""
    held = tmp_path / "held"
    held.touch()
    chat.open()
    chat.say(f"count 40 0.05 {held}")
    chat.until(lambda seen: seen.words >= 3)
    chat.reload()
    chat.until(lambda seen: seen.state == "loading" and seen.words >= 3)
    held.unlink()
    seen = chat.until_idle(["human", f"count 40 0.05 {held}"], ["ai", counted(40)])
    assert seen.steps >= 3
    assert _status(http, seen.thread) == "success"


def test_stop_in_a_reopened_thread(chat: Chat, http: httpx.Client) -> None:
    """A page that has not started the run stops it."""
    chat.open()
    chat.say(LONG)
    chat.until(lambda seen: seen.words >= 3)
    chat.reload()
    chat.until(lambda seen: seen.state == "loading" and seen.words >= 5)
    chat.press("#stop")
    seen = chat.until(lambda seen: seen.state == "idle")
    wait_for(lambda: _status(http, seen.thread) == "interrupted", what="the run to stop")


def test_interrupt_and_resume(chat: Chat) -> None:
    """The question is shown, also after a reload; the answer goes on with the same conversation."""
    chat.open()
    chat.say("ask")
    chat.until(lambda seen: seen.question == "ok?" and seen.state == "idle")
    chat.reload()
    chat.until(lambda seen: seen.question == "ok?" and seen.state == "idle")
    chat.press("#resume")
    said = [["human", "ask"], ["ai", "heard yes"]]
    chat.until(lambda seen: seen.state == "idle" and seen.lines == said and seen.question == "")


def test_edit_and_branches(chat: Chat) -> None:
    """A question is asked anew from where it stood; the classic hooks show both branches and change between them."""
    first, second, third = (["human", f"count {n} 0"] for n in (1, 2, 3))
    says = {n: ["ai", counted(n)] for n in (1, 2, 3)}
    chat.open()
    chat.say(first[1])
    chat.until_idle(first, says[1])
    chat.say(second[1])
    chat.until_idle(first, says[1], second, says[2])
    chat.type(third[1])
    chat.press("li:nth-child(3) .edit")
    chat.until_idle(first, says[1], third, says[3])
    if chat.has_branches:
        chat.press("li:nth-child(3) .branch")
        chat.until_idle(first, says[1], second, says[2])
        chat.press("li:nth-child(3) .branch:last-child")
    chat.reload()
    chat.until_idle(first, says[1], third, says[3])


def test_answer_again(chat: Chat, http: httpx.Client) -> None:
    """An answer is given anew from where it was asked, and takes the place of the one before."""
    chat.open()
    chat.say("count 2 0")
    said = (["human", "count 2 0"], ["ai", "w0 w1 "])
    first = chat.until_idle(*said)
    chat.press("li:last-child .again:enabled")
    chat.until(lambda seen: seen.state == "idle" and seen.lines == list(said) and seen.ids[-1] != first.ids[-1])
    assert len(http.get(f"/threads/{first.thread}/runs").json()) == 2


def test_error_is_shown(chat: Chat) -> None:
    """A graph's failure, also after a reload where the hook reads it from the state; the next run is as good as any."""
    chat.open()
    chat.say("fail")
    chat.until(lambda seen: seen.state == "idle" and "boom happened" in seen.error)
    chat.say("count 2 0")
    assert chat.until(lambda seen: seen.state == "idle" and seen.answer).error == ""


def test_history_is_shown(chat: Chat, live: Live) -> None:
    """A thread that others have filled opens as it is, and no run is under way."""
    sdk = live.client()
    thread = sdk.threads.create()["thread_id"]
    for words in (1, 2):
        sdk.runs.wait(thread, "talking", input={"messages": [{"type": "human", "content": f"count {words} 0"}]})
    chat.open(thread=thread)
    said = [["human", "count 1 0"], ["ai", "w0 "], ["human", "count 2 0"], ["ai", "w0 w1 "]]
    chat.until(lambda seen: seen.state == "idle" and seen.lines == said and seen.past >= 4)
