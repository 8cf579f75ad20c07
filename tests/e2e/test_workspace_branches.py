"""Other ways to go on: edits, answers run again, and runs that failed."""

from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.e2e.workspace import Workspace
from tests.live import Live


def test_an_edit_and_an_answer_run_again_are_branches(page: Page) -> None:
    """Between which one can switch, also after a reload."""
    workspace = Workspace(page).open()
    workspace.say("count 1 0")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    page.press("Edit", within=".ws-row.human")
    field = page.find(".ws-edit textarea")
    field.clear()
    field.send_keys("count 2 0")
    page.press("Send", within=".ws-edit")
    workspace.until_resting(["human", "count 2 0"], ["ai", "w0 w1"])
    workspace.until(lambda now: now.choices == ["2/2", ""])
    page.press("Earlier version")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    page.press("Later version")
    workspace.until_resting(["human", "count 2 0"], ["ai", "w0 w1"])
    page.press("Run again")
    workspace.until(lambda now: now.is_resting and now.choices == ["2/2", "2/2"])
    workspace.reload()
    workspace.until(lambda now: now.choices == ["2/2", "2/2"])
    page.press("Earlier version", within=".ws-row.human")
    workspace.until_resting(["human", "count 1 0"], ["ai", "w0"])
    workspace.until(lambda now: now.choices == ["1/2", ""])
    workspace.say("count 3 0")
    workspace.until(
        lambda now: now.is_resting and now.lines[1:] == [["ai", "w0"], ["human", "count 3 0"], ["ai", "w0 w1 w2"]]
    )


def test_a_run_that_failed_says_why_and_can_be_tried_again(page: Page, live: Live, watching: Watched) -> None:
    """With the same input from the same place."""
    watching.allow("boom happened")
    workspace = Workspace(page).open()
    workspace.say("fail")
    workspace.until(lambda seen: seen.status == "failed")
    workspace.reload()
    page.until("This run failed")
    assert "ValueError boom happened" in page.text(".ws-failure")
    run = page.run("return document.querySelector('.ws-failure').dataset.run")
    assert page.named("Open run").get_attribute("href").endswith(f"/console/runs/{run}")
    page.press("Traceback")
    page.until("ValueError: boom happened")
    assert "talking.py" in page.text(".ws-traceback pre").splitlines()[1], "the agent's own code comes first"
    page.press("Try again")
    workspace.until(lambda seen: seen.is_resting and seen.choices == ["2/2"])
    assert workspace.look().lines == [["human", "fail"]]
    states = live.client().threads.get_history(workspace.thread_id, limit=10)
    assert [state["metadata"]["source"] for state in states].count("input") == 1
    said = [message["id"] for state in states for message in state["values"]["messages"]]
    assert len(said) >= 2
    assert len(set(said)) == 1, "the same question, in both branches"
    assert [run["status"] for run in live.client().runs.list(workspace.thread_id)] == ["error", "error"]


def test_a_turn_that_failed_still_says_so_when_somebody_has_gone_on(page: Page, watching: Watched) -> None:
    watching.allow("boom happened")
    workspace = Workspace(page).open()
    workspace.say("fail")
    workspace.until(lambda seen: seen.is_resting and seen.status == "failed")
    assert not page.texts(".failed-row"), "the card says it"
    run = page.run("return document.querySelector('.ws-failure').dataset.run")
    for _ in ("as one goes on", "after a reload"):
        if not workspace.look().answer:
            workspace.say("count 2 0")
        workspace.until_resting(["human", "fail"], ["human", "count 2 0"], ["ai", "w0 w1"])
        page.until("This answer failed: ValueError")
        rows = page.run(
            "return [...document.querySelectorAll('.ws-row')].map((row) => row.dataset.type ?? row.dataset.run)"
        )
        assert rows == ["human", run, "human", "ai"]
        assert page.named("Open run").get_attribute("href").endswith(f"/console/runs/{run}")
        workspace.reload()
