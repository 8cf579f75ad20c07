"""What the workspace shows of an agent's work and asks of a person, with a graph that says what is asked of it."""

from pathlib import Path
from typing import Any

from selenium.webdriver import Keys

from tests.conftest import wait_for
from tests.e2e.page import Page
from tests.live import Live

Thread = str
_DOT = (
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f000105"
    "01012718e3660000000049454e44ae426082"
)
"""A picture of one point."""


def talked(live: Live, *wishes: str) -> Thread:
    """A thread of the graph ``showing`` on which somebody has said this, one after the other."""
    client = live.client()
    thread_id: str = client.threads.create()["thread_id"]
    for wish in wishes:
        client.runs.wait(thread_id, "showing", input={"messages": [{"type": "human", "content": wish}]})
    return thread_id


def messages(live: Live, thread: Thread) -> list[Any]:
    """What was said so far, as the state has it."""
    values: Any = live.client().threads.get_state(thread)["values"]
    return [message["content"] for message in values["messages"]]


def opened(page: Page, thread: Thread, query: str = "") -> Page:
    """The page of a thread, as soon as all of it is there."""
    page.open(f"/console/threads/{thread}{query}").find(".ws[data-ready=yes]")
    return page


def at_rest(page: Page) -> None:
    """Wait until the run has ended: what is streamed is seen before it is in the state."""
    page.until(lambda: page.text("#ws-status") == "Idle")


def click(page: Page, selector: str, place: int = 0) -> None:
    """Press one of several that are alike, wherever the page is scrolled to."""
    page.until(lambda: len(page.texts(selector)) > place)
    page.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, place)


def retype(page: Page, label: str, text: str) -> None:
    """Put another text in place of a field's, as a person does: a field of React does not notice ``clear``."""
    page.field(label).send_keys(Keys.CONTROL, "a", Keys.NULL, text)


def test_nothing_of_a_models_text_runs_or_loads_from_elsewhere(live: Live, page: Page) -> None:
    """Neither scripts nor styles nor pictures; links are kept from telling where they were pressed."""
    opened(page, talked(live, "markdown")).until("hello")
    assert "run" not in page.run("return document.title").split(" · ")[-1]
    assert not page.has(".text :is(img, script, style, svg:not(.icon), iframe)")
    assert page.texts(".text :is(h2, li, td, pre)") == [
        "Results",
        "done",
        "one\nbelow it",
        "below it",
        "a",
        "1",
        'print("hello")',
    ]
    links = page.run("return [...document.querySelectorAll('.text a')].map((a) => [a.href, a.target, a.rel])")
    safe = ["_blank", "noopener noreferrer"]
    assert links == [["https://example.org/page", *safe], ["https://example.org/picture.png", *safe]]
    assert '<script>document.title = "run"</script>' in page.text(".text")
    page.press("Copy code")
    page.until("Copied")


def test_tool_calls_are_folded_and_say_what_has_become_of_them(live: Live, page: Page) -> None:
    """One worked, one failed; what nobody knows is shown as JSON."""
    opened(page, talked(live, "tools", "odd")).until("hologram")
    assert page.texts(".tool-name") == ["divide", "divide"]
    assert page.texts(".tool-state") == ["Done", "Failed"]
    assert "quotient" not in page.text("#main")
    click(page, ".tool > summary", 0)
    page.until(lambda: page.text(".tool").split()[-2:] == ["quotient", "2"])
    click(page, ".tool > summary", 1)
    page.until("ZeroDivisionError")


def test_a_request_for_approval_is_answered_with_what_it_allows(live: Live, page: Page) -> None:
    """Its arguments are edited, what is not JSON is told, and the answer stays to be read."""
    thread = talked(live, "approve")
    opened(page, thread).until("The agent wants your approval")
    assert page.texts(".ask-card .pick") == ["Approve", "Edit", "Reject"]
    page.press("Edit", within=".ask-card")
    page.field("Arguments as JSON").send_keys("x")
    page.until("This is not JSON")
    page.press("Approve with these changes")
    retype(page, "Arguments as JSON", '{"to": "bob@example.org"}')
    page.press("Approve with these changes")
    page.until("heard")
    at_rest(page)
    edited = {"name": "send_mail", "args": {"to": "bob@example.org"}}
    assert '"edited_action"' in messages(live, thread)[-1]
    assert live.client().runs.list(thread)[0]["kwargs"]["command"]["resume"] == {
        "decisions": [{"type": "edit", "edited_action": edited}]
    }
    page.reload()
    page.until("You answered: approved with changes")


_IS_IN_SIGHT = """
const [log, card] = [".ws-log", ".ask-card"].map((each) => document.querySelector(each).getBoundingClientRect());
return card.bottom <= log.bottom;
"""


def test_what_a_decision_asks_for_comes_into_sight(live: Live, page: Page) -> None:
    """The card grows below the end of what one sees."""
    opened(page, talked(live, "markdown", "approve")).until("The agent wants your approval")
    page.until(lambda: page.run(_IS_IN_SIGHT))
    page.press("Reject", within=".ask-card")
    page.until("Send rejection")
    page.until(lambda: page.run(_IS_IN_SIGHT), seconds=5)


def test_a_call_says_that_it_waits_for_approval_and_that_it_was_rejected(live: Live, page: Page) -> None:
    """And the answer stays beside its question, also after a reload."""
    opened(page, talked(live, "careful")).until("The agent wants your approval")
    assert page.texts(".tool-state") == ["Waits for approval"] * 2
    click(page, ".pick-approve", 0)
    click(page, ".pick-reject", 1)
    page.type("Reason, if you like: the agent reads it", "by zero")
    page.press("Send all")
    page.until(lambda: page.texts(".tool-state") == ["Done", "Rejected"])
    at_rest(page)
    said = ["Run divide, divide?", "You answered: approved · rejected: by zero"]
    page.until(lambda: page.text(".answered-words").splitlines() == said)
    page.reload()
    page.until(lambda: page.text(".answered-words").splitlines() == said)
    assert page.texts(".tool-state") == ["Done", "Rejected"]


def test_a_question_is_answered_once_however_often_it_is_pressed(live: Live, page: Page) -> None:
    """Any question takes yes, no, text and JSON; its payload is shown whole."""
    thread = talked(live, "ask")
    opened(page, thread).until("Shall I go on?")
    assert "price" in page.text(".ask-card")
    page.named("Yes")
    page.run("const yes = document.querySelector('.pick-yes'); yes.click(); yes.click(); yes.click()")
    page.until("heard true")
    page.until(lambda: page.text(".answered-words").splitlines() == ["Shall I go on?", "You answered: Yes"])
    assert len(live.client().runs.list(thread)) == 2


def test_several_questions_are_sent_together(live: Live, page: Page) -> None:
    """Each has its own card, and none goes before the other is answered."""
    thread = talked(live, "twice")
    opened(page, thread).until("right?")
    click(page, ".pick-yes", 0)
    page.until("1 of 2 answered")
    page.press("Send all")
    page.until("Write an answer first.")
    click(page, ".pick-json", 1)
    page.type("Answer as JSON", '{"go": [1]}')
    page.press("Send all")
    page.until("heard true")
    at_rest(page)
    assert sorted(messages(live, thread)[1:]) == ["heard true", 'heard {"go": [1]}']


def test_a_question_of_a_graph_within_the_graph_is_answered(live: Live, page: Page) -> None:
    """And one that somebody else has answered meanwhile goes away by itself."""
    thread = talked(live, "inside")
    opened(page, thread).until("inside?")
    page.type("Your answer", "from outside")
    page.press("Send answer")
    page.until('heard "from outside"')


def test_an_earlier_step_is_looked_at_and_run_again(live: Live, page: Page) -> None:
    """It cannot be taken for the present; a run from there is a branch, and the old end stays."""
    thread = talked(live, "one", "two")
    opened(page, thread).press("State")
    page.until(lambda: len(page.texts(".step")) == 6)
    assert page.texts(".step-title")[0].split() == ["say", "now"]
    click(page, ".step", 4)
    page.until("You are looking at step 2 of 6.")
    page.until(lambda: page.texts(".ws-log .as-typed") == ["one"])
    page.type("Search in these values", "one")
    page.until("1 found")
    page.press("Changes", within=".step-detail")
    page.until(lambda: "new" in page.text(".changes .is-added"))
    address = page.path
    assert "?checkpoint=" in address
    opened(page, thread, address[address.index("?") :]).until("You are looking at step 2 of 6.")
    page.press("Run from here")
    page.until("say runs next.")
    page.press("Run from here", within=".sure")
    page.until(lambda: len(page.texts(".step")) == 8)
    at_rest(page)
    assert messages(live, thread) == ["one", "sent text"]
    page.until(lambda: "branch" in " ".join(page.texts(".step-title")))


def test_steps_of_long_ago_are_read_when_they_are_wanted(live: Live, page: Page) -> None:
    """By pressing, or because the address names one of them; an input would have been step 1 here."""
    client = live.client()
    said = {"messages": [{"type": "ai", "content": "so"}]}
    updates: list[Any] = [{"updates": [{"values": said, "as_node": "say"}]} for _ in range(60)]
    thread: str = client.threads.create(graph_id="showing", supersteps=updates)["thread_id"]
    first = client.threads.get_history(thread, limit=100)[-1]["checkpoint"]["checkpoint_id"]
    opened(page, thread).press("State")
    page.until(lambda: len(page.texts(".step")) == 25)
    page.press("Show older steps")
    page.until(lambda: len(page.texts(".step")) == 50)
    opened(page, thread, f"?checkpoint={first}").until("You are looking at step 2 of 61.")
    page.until(lambda: len(page.texts(".step")) == 60)


def test_a_state_is_edited_and_run(live: Live, page: Page) -> None:
    """What was typed is what is stored, also of a list to which the graph only adds."""
    thread = talked(live, "one")
    opened(page, thread).press("State")
    page.until(lambda: len(page.texts(".step")) == 3)
    click(page, ".step", 1)
    page.press("Edit state, then run")
    retype(page, "Values at this step", "[]")
    page.until("The state must be a JSON object")
    retype(page, "Values at this step", '{"messages": [{"type": "human", "content": "odd"}]}')
    page.until("You change: messages.")
    page.press("Save and run")
    wait_for(lambda: len(messages(live, thread)) == 2 and messages(live, thread)[0] == "odd", what="the edited state")
    page.until("hologram")


def test_a_picture_is_sent_and_what_is_too_large_is_told_before(page: Page, tmp_path: Path) -> None:
    """Nothing of a file leaves the browser that the server would not take."""
    dot = tmp_path / "dot.png"
    dot.write_bytes(bytes.fromhex(_DOT))
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(40 << 20)
    page.open("/console/threads/new?agent=showing").find("input[type=file]").send_keys(f"{dot}\n{large}")
    page.until("a message takes at most")
    page.until(lambda: page.texts(".attached .chip-name") == ["dot.png"])
    page.type("Message", "picture")
    page.keys("ENTER")
    page.until("sent text image")
    page.until(lambda: page.has("img.picture"))
