"""Approvals: what a human is asked, and that what they decide is what happens."""

from typing import Any

import pytest
from lead_agent.config import Config

from tests.integration.example.talking import Thread

ALLOWED = ["approve", "edit", "reject"]
APPROVE = {"type": "approve"}
REJECT = {"type": "reject", "message": "not there"}


def edit(name: str, **arguments: Any) -> dict[str, Any]:
    """A decision that changes the call."""
    return {"type": "edit", "edited_action": {"name": name, "args": arguments}}


def files(config: Config, thread: Thread) -> dict[str, str]:
    """All files of the thread."""
    top = config.workspace.root / thread.id
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_the_question(thread: Thread, config: Config) -> None:
    """A write outside drafts/ is asked for in LangChain's shape, and nothing has happened yet."""
    heard = thread.say("write file notes.md: hello")
    assert heard.question == {
        "action_requests": [
            {
                "name": "write_file",
                "args": {"path": "notes.md", "content": "hello"},
                "description": "The agent wants to write the file notes.md.",
            }
        ],
        "review_configs": [{"action_name": "write_file", "allowed_decisions": ALLOWED}],
    }
    assert files(config, thread) == {}


def test_approve(thread: Thread, config: Config) -> None:
    """Approved: done as asked."""
    thread.say("write file notes.md: hello")
    heard = thread.decide(APPROVE)
    assert files(config, thread) == {"notes.md": "hello"}
    assert heard.question is None
    assert "Wrote notes.md (5 bytes)." in heard.text


def test_edit(thread: Thread, config: Config) -> None:
    """Edited: done as changed, and the conversation says what was done, not what was asked."""
    thread.say("write file notes.md: hello")
    heard = thread.decide(edit("write_file", path="other.md", content="hi"))
    assert files(config, thread) == {"other.md": "hi"}
    calls = [call["args"] for message in heard.state["messages"] for call in getattr(message, "tool_calls", [])]
    assert calls == [{"path": "other.md", "content": "hi"}]


def test_an_edit_does_not_lead_out(thread: Thread, config: Config) -> None:
    """What a human writes into the arguments is bound by the same walls."""
    thread.say("write file notes.md: hello")
    heard = thread.decide(edit("write_file", path="../../x", content="hi"))
    assert heard.results[-1].status == "error"
    assert not list(config.workspace.root.parent.glob("x"))


def test_reject(thread: Thread, config: Config) -> None:
    """Rejected: not done, the model hears why, and the thread goes on."""
    thread.say("write file notes.md: hello; then calculate 1+1")
    heard = thread.decide(REJECT)
    assert files(config, thread) == {}
    refused = heard.results[0]
    assert (refused.status, refused.text) == ("error", "A human refused write_file: not there")
    assert "not there" in heard.text
    assert "1+1 = 2" in heard.text


def test_delete_is_asked_for_in_drafts_too(thread: Thread, config: Config) -> None:
    """Writing a draft needs nobody; a delete always does."""
    assert thread.say("write file drafts/a.md: one; then edit file drafts/a.md: one => two").question is None
    heard = thread.say("delete file drafts/a.md")
    assert heard.question is not None
    assert heard.question["action_requests"][0]["name"] == "delete_file"
    assert files(config, thread) == {"drafts/a.md": "two"}
    thread.decide(APPROVE)
    assert files(config, thread) == {}


@pytest.mark.parametrize("path", ["drafts", "drafts2/a.md", "Drafts/a.md", "a/drafts/a.md"])
def test_what_only_looks_like_drafts(thread: Thread, path: str) -> None:
    """Free are the files below drafts/, none else."""
    assert thread.say(f"write file {path}: x").question is not None


def test_several_at_once(thread: Thread, config: Config) -> None:
    """Calls of one message make one question with one decision each; a call that needs none waits with them."""
    heard = thread.say("research write file a.md: A, write file b.md: B, write file c.md: C and calculate 1+1")
    assert heard.question is not None
    assert [request["args"]["path"] for request in heard.question["action_requests"]] == ["a.md", "b.md", "c.md"]
    assert len(heard.question["review_configs"]) == 1
    assert heard.results == []
    heard = thread.decide(APPROVE, REJECT, edit("write_file", path="d.md", content="D"))
    assert files(config, thread) == {"a.md": "A", "d.md": "D"}
    assert "1+1 = 2" in heard.text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("yes", "not understood"),
        ({"decisions": []}, "0 decisions for 1"),
        ({"decisions": [{"type": "maybe"}]}, "not understood"),
        ({"decisions": [APPROVE, APPROVE]}, "2 decisions for 1"),
        ({"decisions": [{"type": "edit", "edited_action": {"name": "rm", "args": {}}}]}, "cannot call rm"),
    ],
)
def test_an_answer_of_another_shape(thread: Thread, config: Config, answer: Any, said: str) -> None:
    """What cannot be understood does nothing; the question comes again, says why, and can then be answered."""
    thread.say("write file notes.md: hello")
    heard = thread.resume(answer)
    assert heard.question is not None
    assert said in heard.question["action_requests"][0]["description"]
    assert files(config, thread) == {}
    thread.decide(APPROVE)
    assert files(config, thread) == {"notes.md": "hello"}


def test_something_else_instead_of_an_answer(thread: Thread, config: Config) -> None:
    """One who changes the subject is answered; the call that was never allowed is never made."""
    thread.say("write file notes.md: hello")
    heard = thread.say("calculate 2+2")
    assert "2+2 = 4" in heard.text
    assert files(config, thread) == {}
