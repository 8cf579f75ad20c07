"""What agents wait for: the list, its count, the form of a thread's questions, and what becomes of answers."""

import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from markupsafe import escape

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import LOCAL, Principal
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import MultitaskStrategy, RunStatus, StreamMode
from deerflow.settings import Settings
from deerflow.storage import approvals, keys
from deerflow.storage.database import Tx
from tests.factories import (
    LOCAL_USER,
    at_once,
    claim_run,
    finish_run,
    make_app,
    make_key,
    make_run,
    make_user,
    set_columns,
)
from tests.integration.identity.stranger import principal_for
from tests.integration.web.asking import ONE, REQUEST, TWO, all_runs, asking, place
from tests.integration.web.conftest import Person


def test_all_that_waits_is_listed_and_counted(reader: Person, backend: Backend, caller: Principal) -> None:
    """What was stopped, or goes on already, or has ended, waits for nobody; nor does another user's."""
    asking(backend, caller, {"question": "Publish it?"})
    asking(backend, caller, REQUEST)
    asking(backend, caller, "left?", "right?")
    asking(backend, principal_for(make_user(backend, "bob@example.com")), "Bob's question?")
    answered = asking(backend, caller, "gone on?")
    make_run(backend, caller, thread_id=answered.thread_id, command={"resume": "yes"})
    stopped = claim_run(backend, make_run(backend, caller))
    assert stopped is not None
    finish_run(backend, stopped, status=RunStatus.INTERRUPTED, head=ThreadHead({}, ("work",), {}))
    reader.open("/console/approvals")
    for line in ("Publish it?", "Run write_file?", "left? (and 1 more question)", "steps"):
        assert line in reader.told()
    for line in ("Bob", "gone on?"):
        assert line not in reader.told()
    assert reader.page.text.count('class="mark"') == 3
    assert re.findall(r'data-count="[^"]+">(\d+)<', reader.page.text) == ["3", "3"]
    assert reader.open("/console/approvals/count").get_json() == {"waiting": 3}


def test_questions_are_read_once_for_each_language_and_again_when_others_are_asked(
    reader: Person, backend: Backend, caller: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be megabytes, and each tab asks for the list every few seconds."""
    read: list[UUID] = []

    def asked(tx: Tx, principal: Principal, thread_id: UUID) -> Any:
        read.append(thread_id)
        return read_asked(tx, principal, thread_id)

    read_asked = approvals.asked
    monkeypatch.setattr(approvals, "asked", asked)
    one, two = asking(backend, caller, REQUEST), asking(backend, caller, "left?")
    for _ in range(2):
        for language, line in (("en", "Run write_file?"), ("zh-CN", "执行 write_file")):
            assert line in reader.open("/console/approvals", **{"Accept-Language": language}).text
    assert sorted(read) == sorted([one.thread_id, two.thread_id] * 2)

    asking(backend, caller, "right?", thread_id=two.thread_id)
    assert "right?" in reader.open("/console/approvals").text
    assert "left?" not in reader.told()
    assert read[4:] == [two.thread_id]


def test_nothing_waits(reader: Person) -> None:
    assert "Nothing waits for you" in reader.open("/console/approvals").text
    assert 'data-count="/console/approvals/count" hidden>0<' in reader.page.text


def test_more_than_a_page(reader: Person, backend: Backend, caller: Principal) -> None:
    for number in range(27):
        asking(backend, caller, f"question {number}?")
    assert "question 26?" in reader.open("/console/approvals").text
    assert "question 1?" not in reader.told()
    assert "question 1?" in reader.open("/console/approvals?page=2").text


def test_an_approval_goes_on_as_the_run_that_asked(reader: Person, backend: Backend, caller: Principal) -> None:
    """With its assistant, context and stream modes; the page then tells who has answered what."""
    told = {"context": {"colour": "red"}, "stream_modes": (StreamMode.UPDATES,), "protocol": "v2"}
    run = asking(backend, caller, REQUEST, assistant="asking", **told)
    page = reader.open(place(run))
    assert "data-live" in page.text
    assert "Run write_file?" in reader.told()
    assert "Respond" not in reader.told()
    led = reader.send(place(run), **{"press.0.0": "approve"})
    new = all_runs(backend, run)[0]
    assert led.headers["Location"] == f"{place(run)}?run={new.run_id}"
    assert new.kwargs["command"] == {"resume": {ONE: {"decisions": [{"type": "approve"}]}}}
    assert (new.assistant_id, new.multitask_strategy) == (run.assistant_id, MultitaskStrategy.REJECT)
    for name in ("context", "stream_mode", "protocol", "durability", "interrupt_before"):
        assert new.kwargs.get(name) == run.kwargs.get(name), name
    assert new.kwargs["config"]["configurable"] == run.kwargs["config"]["configurable"]
    page = reader.open(led.headers["Location"])
    assert "Your answer was sent" in page.text
    assert "You Approved" in reader.told()
    assert "<form" in page.text
    assert "press." not in page.text


ANSWERS: list[tuple[Any, dict[str, str], Any]] = [
    (REQUEST, {"kind.0.0": "edit", "edit.0.0": '{"path": "b.md"}'},
     {"decisions": [{"type": "edit", "edited_action": {"name": "write_file", "args": {"path": "b.md"}}}]}),
    (REQUEST, {"kind.0.0": "reject", "reject.0.0": "too risky"},
     {"decisions": [{"type": "reject", "message": "too risky"}]}),
    (REQUEST, {"kind.0.0": "reject", "press.0.0": "approve"}, {"decisions": [{"type": "approve"}]}),
    ("ok?", {"press.0.0": "yes", "kind.0.0": "text"}, True),
    ("ok?", {"press.0.0": "no"}, False),
    ("which?", {"kind.0.0": "text", "text.0.0": "two\r\nlines"}, "two\nlines"),
    ({"a": 1}, {"kind.0.0": "json", "json.0.0": "[1, null]"}, [1, None]),
    (None, {"kind.0.0": "json", "json.0.0": "null"}, None),
]  # fmt: skip


def test_every_kind_of_answer(reader: Person, backend: Backend, caller: Principal) -> None:
    for value, typed, resume in ANSWERS:
        run = asking(backend, caller, value)
        reader.open(place(run))
        assert reader.send(place(run), **typed).status_code == 303, typed
        assert all_runs(backend, run)[0].kwargs["command"] == {"resume": {ONE: resume}}


MISTAKES: list[tuple[Any, dict[str, str], str]] = [
    (REQUEST, {"kind.0.0": "edit", "edit.0.0": '{"path": <b>}'}, "look at line 1, column 10"),
    (REQUEST, {"kind.0.0": "edit", "edit.0.0": "[1]"}, "must be a JSON object"),
    (REQUEST, {"kind.0.0": "respond", "respond.0.0": "x"}, "Decide first"),
    (REQUEST, {"reject.0.0": "kept as well"}, "Decide first"),
    ("ok?", {"kind.0.0": "json", "json.0.0": "{no"}, "look at line 1, column 2"),
    ("ok?", {"kind.0.0": "json", "json.0.0": "[" * 200 + "]" * 200}, "nests too deep"),
    ("ok?", {"kind.0.0": "text", "text.0.0": ""}, "Write an answer first"),
    ("ok?", {"kind.0.0": "text", "json.0.0": '"kept"'}, "Write an answer first"),
]


def test_what_is_wrong_is_told_at_the_field_and_nothing_is_lost(
    reader: Person, backend: Backend, caller: Principal
) -> None:
    for value, typed, told in MISTAKES:
        run = asking(backend, caller, value)
        reader.open(place(run))
        page = reader.send(place(run), **typed)
        assert page.status_code == 200
        wrong = re.search(r'id="wrong-0.0" role="alert">([^<]*)<', page.text)
        assert wrong is not None, typed
        assert told in wrong[1]
        texts = [text for name, text in typed.items() if not name.startswith(("kind", "respond"))]
        assert all(f">\n{escape(text)}</textarea>" in page.text for text in texts), typed
        assert "data-live" not in page.text, "the page that would be fetched has not what was typed"
        assert len(all_runs(backend, run)) == 1


def test_several_questions_are_answered_together(reader: Person, backend: Backend, caller: Principal) -> None:
    """Each its own card; one that is not decided holds all back, and is named."""
    run = asking(backend, caller, "left?", {"question": "right?", "risk": "high"})
    page = reader.open(place(run))
    assert page.text.count('class="card asking"') == 2
    assert "Send all answers" in page.text
    assert "press." not in page.text
    both = {"interrupt": [ONE, TWO], "kind.0.0": "text", "text.0.0": "to the left"}
    page = reader.send(place(run), **both)
    assert 'id="wrong-1.0"' in page.text
    assert 'id="wrong-0.0"' not in page.text
    assert "to the left" in page.text
    assert reader.send(place(run), **both, **{"kind.1.0": "no"}).status_code == 303
    assert all_runs(backend, run)[0].kwargs["command"] == {"resume": {ONE: "to the left", TWO: False}}
    reader.open(place(run))
    assert "to the left · No" in reader.told()


def test_answered_meanwhile_is_told_and_resumes_nothing(reader: Person, backend: Backend, caller: Principal) -> None:
    """Through the API, and a new question asked since: that one stays open, and is what the page shows."""
    run = asking(backend, caller, "first?")
    reader.open(place(run))
    resumed = make_run(backend, caller, thread_id=run.thread_id, command={"resume": "by the API"})
    page = reader.send(place(run), **{"press.0.0": "yes"})
    assert page.status_code == 200
    assert "answered meanwhile" in reader.told()
    assert "You by the API" in reader.told()
    again = claim_run(backend, resumed)
    assert again is not None
    finish_run(backend, again, head=ThreadHead({}, ("ask",), {"t": [{"id": TWO, "value": "second?"}]}))
    page = reader.send(place(run), interrupt=ONE, **{"press.0.0": "yes"})
    assert "answered meanwhile" in reader.told()
    assert "second?" in reader.told()
    assert len(all_runs(backend, run)) == 2


def test_a_form_without_questions_sends_nothing(reader: Person, backend: Backend, caller: Principal) -> None:
    run = asking(backend, caller, "ok?")
    reader.open(place(run))
    for interrupts in ([], [""], ["x", ONE]):
        assert reader.send(place(run), interrupt=interrupts, **{"press.0.0": "yes"}).status_code == 200
    assert len(all_runs(backend, run)) == 1


def two_tabs(app: Flask, user: User, run: Run) -> list[Person]:
    tabs = [Person(app).sign_in(user), Person(app).sign_in(user)]
    for tab in tabs:
        tab.open(place(run))
    return tabs


def test_a_double_click_resumes_once(accounts_app: Flask, backend: Backend, ada: User, caller: Principal) -> None:
    """And both clicks are told the same."""
    run = asking(backend, caller, REQUEST)
    first, second = two_tabs(accounts_app, ada, run)
    answers = at_once(*(lambda tab=tab: tab.send(place(run), **{"press.0.0": "approve"}) for tab in (first, second)))
    found = all_runs(backend, run)
    assert len(found) == 2
    assert {each.headers["Location"] for each in answers} == {f"{place(run)}?run={found[0].run_id}"}


def test_of_two_answers_one_counts(accounts_app: Flask, backend: Backend, ada: User, caller: Principal) -> None:
    run = asking(backend, caller, REQUEST)
    first, second = two_tabs(accounts_app, ada, run)
    answers = at_once(
        lambda: first.send(place(run), **{"press.0.0": "approve"}),
        lambda: second.send(place(run), **{"kind.0.0": "reject"}),
    )
    assert sorted(each.status_code for each in answers) == [200, 303]
    assert "answered meanwhile" in (first if answers[0].status_code == 200 else second).told()
    assert len(all_runs(backend, run)) == 2


def test_the_same_question_can_be_answered_again_after_a_stop(
    reader: Person, backend: Backend, caller: Principal
) -> None:
    """The run that went on was stopped before it began: the form is another one then."""
    run = asking(backend, caller, "ok?")
    reader.open(place(run))
    assert reader.send(place(run), **{"press.0.0": "yes"}).status_code == 303
    gone_on = claim_run(backend, all_runs(backend, run)[0])
    assert gone_on is not None
    asked = {"t": [{"id": ONE, "value": "ok?"}]}
    finish_run(backend, gone_on, status=RunStatus.INTERRUPTED, head=ThreadHead({}, ("ask",), asked))
    reader.open(place(run))
    assert reader.send(place(run), **{"press.0.0": "no"}).status_code == 303
    assert [each.kwargs["command"] for each in all_runs(backend, run)[:2]] == [
        {"resume": {ONE: False}},
        {"resume": {ONE: True}},
    ]


def test_who_answered_is_told(reader: Person, backend: Backend, ada: User, caller: Principal) -> None:
    """Oneself, or one of one's keys by its name; runs that answered nothing are not there."""
    run = asking(backend, caller, "ok?")
    make_run(backend, caller, thread_id=run.thread_id, command={"resume": "by hand"})
    make_key(backend, ada)
    with backend.db.read() as tx:
        (key,) = keys.of_user(tx, ada.user_id)
    by_key = make_run(backend, caller, thread_id=run.thread_id, command={"resume": {ONE: {"odd": 1}}})
    set_columns(backend, by_key, key_id=key.key_id)
    page = reader.open(place(run))
    assert page.text.count('class="who"') == 2
    assert "You by hand" in reader.told()
    assert "API key “of a test” {&#34;odd&#34;: 1}" in reader.told()


@pytest.mark.parametrize("method", ["open", "send"])
def test_a_strangers_thread_is_not_there(reader: Person, backend: Backend, method: str) -> None:
    bob = make_user(backend, "bob@example.com")
    run = asking(backend, principal_for(bob), "Bob's question?")
    reader.open("/console/approvals")
    page = getattr(reader, method)(place(run))
    assert page.status_code == 404
    assert "Bob" not in page.text
    assert len(all_runs(backend, run)) == 1


def test_without_accounts(settings: Settings, backend: Backend) -> None:
    """There is no token, and none is asked for."""
    client = make_app(settings, backend).test_client()
    run = asking(backend, LOCAL_USER, "ok?")
    assert "ok?" in client.get("/console/approvals").text
    page = client.get(place(run)).text
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once is not None
    assert client.post(place(run), data={"interrupt": ONE, "once": once[1], "press.0.0": "yes"}).status_code == 303
    new = all_runs(backend, run)[0]
    assert (new.owner, new.kwargs["command"]) == (LOCAL, {"resume": {ONE: True}})
    assert "csrf_token" not in page


def test_odd_payloads_are_shown_as_text(reader: Person, backend: Backend, caller: Principal) -> None:
    payload = {"question": "<script>x()</script>?", "rows": [{"a": None}], "html": "<b>bold</b>"}
    run = asking(backend, caller, payload)
    for path in (place(run), "/console/approvals"):
        page = reader.open(path).text
        assert "<script>x" not in page
        assert "<b>bold" not in page
        assert "&lt;script&gt;" in page


def test_a_value_that_is_asked_about_no_more_leads_back(reader: Person, backend: Backend, caller: Principal) -> None:
    run = asking(backend, caller, "ok?")
    assert reader.open(f"{place(run)}/value?interrupt={ONE}").text == "ok?"
    make_run(backend, caller, thread_id=run.thread_id, command={"resume": "yes"})
    for query in ("", f"?interrupt={TWO}"):
        assert reader.open(f"{place(run)}/value{query}").headers["Location"] == place(run)


def test_a_graph_that_is_gone_is_told(reader: Person, backend: Backend, caller: Principal) -> None:
    """As the API tells it, and what was typed stays."""
    run = asking(backend, caller, "ok?")
    object.__setattr__(backend.project, "graphs", {"chat": backend.project.graphs["chat"]})
    reader.open(place(run))
    page = reader.send(place(run), **{"kind.0.0": "text", "text.0.0": "typed long"})
    assert "not served any more" in reader.told()
    assert "typed long" in page.text
