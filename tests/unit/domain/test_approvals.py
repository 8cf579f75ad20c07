"""What agents ask, what people answer, and what the graph is told."""

import time
from typing import Any

import orjson
import pytest

from deerflow.domain.approvals import (
    Draft,
    Incomplete,
    Problem,
    answer_of,
    answers_in,
    decisions_in,
    open_interrupts,
    question_of,
    read_request,
)
from deerflow.settings import ROOT

CASES = orjson.loads((ROOT / "tests/integration/web/approvals.json").read_bytes())["cases"]
ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_is_asked_and_told(case: dict[str, Any]) -> None:
    """The same cases as the workspace's."""
    request = read_request(case["value"])
    assert [[action.name, " ".join(action.allowed)] for action in request.actions] == case["actions"]
    drafts = [Draft(kind, text) for kind, text in case["drafts"]]
    if "answer" in case:
        assert answer_of(request, drafts) == case["answer"]
    else:
        with pytest.raises(Incomplete):
            answer_of(request, drafts)


def test_about_more_actions_than_can_be_drawn_one_open_question_is_asked() -> None:
    older = {"action_request": {"action": "a", "args": {}}, "config": {"allow_accept": True}}
    configs = [{"action_name": "a", "allowed_decisions": ["approve"]}]
    for count, questions in ((5_000, 5_000), (5_001, 1)):
        current = {"action_requests": [{"name": "a"}] * count, "review_configs": configs}
        assert [read_request(each).questions for each in (current, [older] * count)] == [questions, questions]


@pytest.mark.parametrize(
    ("draft", "problem", "where"),
    [
        (Draft("text"), Problem.EMPTY, (0, 0)),
        (Draft("json", '{"a":\n no}'), Problem.NOT_JSON, (2, 2)),
        (Draft("json", "[" * 101 + "]" * 101), Problem.TOO_DEEP, (0, 0)),
        (Draft("json", "NaN"), Problem.NOT_JSON, (1, 1)),
    ],
)
def test_what_is_wrong_is_told_with_its_place(draft: Draft, problem: Problem, where: tuple[int, int]) -> None:
    with pytest.raises(Incomplete) as raised:
        answer_of(read_request("which?"), [draft])
    found = raised.value
    assert (found.problem, (found.line, found.column)) == (problem, where)


def test_the_second_of_two_is_named() -> None:
    older = {"action_request": {"action": "a", "args": {}}, "config": {"allow_accept": True, "allow_edit": True}}
    with pytest.raises(Incomplete) as raised:
        answer_of(read_request([older, older]), [Draft("approve"), Draft("edit", "7")])
    assert (raised.value.place, raised.value.problem) == (1, Problem.NO_OBJECT)


@pytest.mark.parametrize(
    "value",
    [
        {"action_requests": [1], "review_configs": [None]},
        {"action_requests": [{"name": ["x"], "args": 3}], "review_configs": [{"allowed_decisions": "approve"}]},
        {"action_requests": {}, "review_configs": []},
        {"action_request": {"action": 1}, "config": {"allow_accept": True}},
        {"action_request": "a", "config": []},
        [[]],
        [None],
    ],
)
def test_odd_requests_are_open_questions(value: Any) -> None:
    assert read_request(value).actions == ()


def test_a_sentence_of_text_goes_without_what_databases_refuse() -> None:
    assert answer_of(read_request("?"), [Draft("text", "a\0b")]) == "a\ufffdb"


@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("ok?", ("ok?", None)),
        ({"question": "ok?"}, ("ok?", None)),
        ({"prompt": "ok?", "risk": 3}, ("ok?", {"risk": 3})),
        ({"question": " ", "message": "go on?"}, ("go on?", {"question": " "})),
        ([1], ("", [1])),
        (None, ("", None)),
        ({"question": 7}, ("", {"question": 7})),
    ],
)
def test_the_sentence_of_a_payload_is_found_and_nothing_is_lost(value: Any, question: tuple[str, Any]) -> None:
    assert question_of(value) == question


def test_all_open_interrupts_of_a_thread() -> None:
    """Of several tasks; one without an id cannot be answered by it."""
    stored = {"t1": [{"id": "a", "value": 1}, {"value": 2}], "t2": [{"id": "b"}]}
    assert open_interrupts(stored) == [("a", 1), ("b", None)]
    assert open_interrupts(None) == []


@pytest.mark.parametrize(
    ("resume", "answers"),
    [
        ("yes", ["yes"]),
        ({ID: "yes"}, ["yes"]),
        ({ID: 1, ID[::-1]: None}, [1, None]),
        ({"a": 1}, [{"a": 1}]),
        ({}, [{}]),
        ([1, 2], [[1, 2]]),
    ],
)
def test_answers_of_a_run(resume: Any, answers: list[Any]) -> None:
    assert answers_in(resume) == answers


@pytest.mark.parametrize(
    ("answer", "decisions"),
    [
        (
            {"decisions": [{"type": "approve"}, {"type": "reject", "message": "no"}]},
            [("approve", ""), ("reject", "no")],
        ),
        ([{"type": "response", "args": "blue"}], [("respond", "blue")]),
        ([{"type": "edit", "args": {"action": "a", "args": {}}}], [("edit", "")]),
        ({"decisions": [{"type": "sing"}]}, None),
        ({"decisions": [{"type": ["approve"]}]}, None),
        ([], None),
        ("yes", None),
        ({"decisions": "yes"}, None),
    ],
)
def test_decisions_of_an_answer(answer: Any, decisions: Any) -> None:
    assert decisions_in(answer) == decisions


def test_a_question_about_very_many_actions_is_read_at_once() -> None:
    """A list of approvals reads it every few seconds, and nobody else is answered meanwhile."""
    names = [f"act-{i}" for i in range(5_000)]
    asked = {
        "action_requests": [{"name": name, "args": {}} for name in names],
        "review_configs": [{"action_name": name, "allowed_decisions": ["reject"]} for name in reversed(names)],
    }
    begun = time.process_time()
    assert {action.allowed for action in read_request(asked).actions} == {("reject",)}
    assert time.process_time() - begun < 1
