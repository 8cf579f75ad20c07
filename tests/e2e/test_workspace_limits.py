"""What the workspace bears: a long thread, many tabs, a session that ended."""

from typing import Any

from tests.e2e.conftest import give
from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.e2e.workspace import Workspace, counted
from tests.live import Live

PARAGRAPH = """Some **bold** words, `code`, and a list:

- one
- two

```python
print('hello')
```

| a | b |
|---|---|
| 1 | 2 |
"""

_READING = """
const top = document.querySelector(".ws-log").getBoundingClientRect().top;
const row = [...document.querySelectorAll(".ws-row")].find((each) => each.getBoundingClientRect().bottom > top + 1);
return [row.dataset.id, row.getBoundingClientRect().top];
"""
"""The row at the upper edge, and where it is."""


def long_thread(live: Live) -> str:
    """A thread of 500 messages."""
    client = live.client()
    thread_id: str = client.threads.create(graph_id="talking")["thread_id"]
    texts = [f"Question {i}?" if i % 2 == 0 else PARAGRAPH for i in range(500)]
    messages: list[Any] = [
        {"type": "ai" if i % 2 else "human", "content": text, "id": f"m{i}"} for i, text in enumerate(texts)
    ]
    client.threads.update_state(thread_id, {"messages": messages}, as_node="answer")
    return thread_id


def seconds_of_work(page: Page) -> float:
    """How much of a processor this page's main thread has taken: that does not depend on what else is going on."""
    metrics = page.cdp("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "ThreadTime")


def test_five_hundred_messages_are_little_work(page: Page, live: Live) -> None:
    """To open them, and to type below them."""
    page.cdp("Performance.enable")
    workspace = Workspace(page)
    workspace.open(long_thread(live))
    workspace.until(lambda seen: len(seen.lines) == 500)
    page.click("#ws-text")
    before = seconds_of_work(page)
    assert before < 2
    for letter in "a letter each":
        page.cdp("Input.insertText", text=letter)
    assert workspace.look().draft == "a letter each"
    assert (seconds_of_work(page) - before) / len("a letter each") < 0.1


def test_five_megabytes_in_one_message_are_little_work(page: Page, live: Live) -> None:
    """Its beginning is shown, and in the state that of each value; such a state is not edited here."""
    client = live.client()
    thread_id = client.threads.create(graph_id="talking")["thread_id"]
    said = [
        {"type": kind, "content": text, "id": kind} for kind, text in (("human", "Hi"), ("ai", "word " * 1_000_000))
    ]
    client.threads.update_state(thread_id, {"messages": said}, as_node="__start__")
    page.cdp("Performance.enable")
    workspace = Workspace(page).open(thread_id)
    page.named("Show all 5000000 characters", within=".ws-rows")
    assert len(workspace.look().answer) < 200_000
    page.press("State")
    page.press("Edit state, then run")
    page.until("too long to be edited here")
    assert seconds_of_work(page) < 2


def test_the_reader_of_a_long_thread_stays_where_they_are(page: Page, live: Live) -> None:
    workspace = Workspace(page)
    workspace.open(long_thread(live))
    workspace.until(lambda seen: len(seen.lines) == 500)
    from_end = (
        "const log = document.querySelector('.ws-log'); return log.scrollHeight - log.scrollTop - log.clientHeight"
    )
    workspace.page.until(lambda: page.run(from_end) < 2)
    page.run("document.querySelector('.ws-log').scrollTop = 3000")
    page.until(lambda: page.has(".ws-newest"))
    page.until(lambda: page.run(_READING) == page.run(_READING))
    at = page.run(_READING)
    workspace.say("count 20 0.01")
    workspace.until(lambda seen: seen.is_resting and seen.answer == counted(20))
    row, top = page.run(_READING)
    assert (row, abs(top - at[1]) < 3) == (at[0], True)
    page.press("↓ Newest")
    page.until(lambda: page.run(from_end) < 2)
    page.until(lambda: not page.has(".ws-newest"))


def test_five_tabs_stream_at_once_and_each_can_stop(page: Page, watching: Watched) -> None:
    """A browser has six connections to a server of HTTP/1.1."""
    workspace = Workspace(page)
    tabs = [page.driver.current_window_handle, *(watching.new_tab() for _ in range(4))]
    for tab in tabs:
        page.driver.switch_to.window(tab)
        workspace.open().say("count 2000 0.05")
    for tab in tabs:
        page.driver.switch_to.window(tab)
        workspace.until(lambda seen: "w3" in seen.answer)
        page.press("Stop")
        workspace.until(lambda seen: seen.is_resting and seen.stopped)


def test_a_session_that_ends_keeps_the_draft(page: Page, cookies: dict[str, str], watching: Watched) -> None:
    """The page says so, and where to sign in; after that the draft is there."""
    watching.allow("401")
    workspace = Workspace(page).open()
    workspace.say("count 1 0")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    page.cdp("Network.clearBrowserCookies")
    workspace.say("count 2 0")
    seen = workspace.until(lambda now: "signed-out" in now.notices and now.draft == "count 2 0")
    assert seen.lines == [["human", "count 1 0"], ["ai", "w0"]]
    thread = page.path
    page.press("Sign in", within=".ws-notice")
    page.until("Password")
    assert page.path.startswith("/console/login?next=")
    give(page, cookies)
    page.open(page.run("return new URLSearchParams(location.search).get('next')"))
    assert page.path == thread
    assert workspace.until(lambda now: now.is_ready).draft == "count 2 0"
