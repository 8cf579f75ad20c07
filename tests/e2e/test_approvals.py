"""What agents wait for, at a browser: it appears, is answered, and goes by itself."""

from typing import Any

from tests.conftest import wait_for
from tests.e2e.page import LIVE_SECONDS, Page
from tests.live import Live

REQUEST = {
    "action_requests": [{"name": "write_file", "args": {"path": "a.md"}, "description": "Write the file a.md"}],
    "review_configs": [{"action_name": "write_file", "allowed_decisions": ["approve", "edit", "reject"]}],
}


def asking(live: Live, graph: str, given: dict[str, Any]) -> str:
    """A thread whose agent waits for an answer."""
    client = live.client()
    thread_id: str = client.threads.create()["thread_id"]
    client.runs.wait(thread_id, graph, input=given)
    assert client.threads.get(thread_id)["status"] == "interrupted"
    return thread_id


def left(live: Live, thread_id: str) -> Any:
    """The values of a thread that has come to rest."""
    client = live.client()
    wait_for(lambda: client.threads.get(thread_id)["status"] == "idle", what="the run that goes on")
    return client.threads.get(thread_id)["values"]


def count(page: Page) -> int:
    return int(page.run("return Number(document.querySelector('.wide-nav [data-count]').textContent)"))


def test_a_question_appears_is_approved_and_is_counted_meanwhile(live: Live, page: Page) -> None:
    """On whatever page one is, by itself and without a reload."""
    page.open("/console/approvals").run("window.isSame = true")
    before = count(page)
    thread_id = asking(live, "asking_for", {"asks": [REQUEST]})
    page.until(lambda: count(page) == before + 1, seconds=LIVE_SECONDS)
    page.until(lambda: page.has(f".waiting a[href$='{thread_id}']"), seconds=LIVE_SECONDS)
    assert page.run("return window.isSame")
    page.click(f".waiting a[href$='{thread_id}']")
    page.until("Write the file a.md")
    page.press("Approve", within="main")
    page.until("Your answer was sent")
    assert left(live, thread_id)["told"] == [{"decisions": [{"type": "approve"}]}]
    page.until(lambda: count(page) == before, seconds=LIVE_SECONDS)
    page.until(lambda: "Approved" in page.text(".answers-given"), seconds=LIVE_SECONDS)


def test_an_action_is_told_and_approved_alike_here_and_in_its_thread(live: Live, page: Page) -> None:
    """Line by line, as LangChain's own descriptions come; to approve is what one click does."""
    told = "It needs approval\n\nTool: write_file\nArgs: a.md"
    (action,) = REQUEST["action_requests"]
    asked = {**REQUEST, "action_requests": [{**action, "description": told}]}
    thread_id = asking(live, "asking_for", {"asks": [asked]})
    for place in ("approvals", "threads"):
        page.open(f"/console/{place}/{thread_id}").until("Tool: write_file\nArgs: a.md")
        assert page.texts("main button.main") == ["Approve"]
    page.press("Edit", within=".ask-card")
    assert not page.texts("main button.main"), "something else is at hand then"


def test_a_question_of_a_subgraph_is_answered_without_a_script(live: Live, page: Page) -> None:
    thread_id = asking(live, "asking_inside", {"log": []})
    with page.without_script():
        page.driver.get(f"{page.origin}/console/approvals/{thread_id}")
        page.driver.find_element("name", "text.0.0").send_keys("inside!")
        page.driver.find_element("css selector", ".panel-of.text button").click()
        page.until(lambda: "?run=" in page.path)
    assert "inside!" in left(live, thread_id)["log"]


def test_what_is_being_typed_stays_and_is_not_sent_after_somebody_elses_answer(live: Live, page: Page) -> None:
    thread_id = asking(live, "asking_for", {"asks": ["Which colour?"]})
    page.open(f"/console/approvals/{thread_id}").type("Your answer", "blue")
    page.run("document.activeElement.blur()")
    live.client().runs.wait(thread_id, "asking_for", command={"resume": "red"})
    counted = "return performance.getEntriesByType('resource').some((each) => each.name.endsWith('/approvals/count'))"
    page.until(lambda: page.run(counted), seconds=LIVE_SECONDS)  # lists are looked at as often
    assert page.run("return document.querySelector('textarea').value") == "blue"
    page.press("Send answer")
    page.until("answered meanwhile")
    assert left(live, thread_id)["told"] == ["red"]
