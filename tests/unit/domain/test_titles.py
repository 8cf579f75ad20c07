"""What a thread is called, whatever clients and graphs have written."""

from typing import Any

import pytest

from deerflow.domain import titles

LONG = "a long question " * 20


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ({"messages": [{"role": "user", "content": "hello"}]}, "hello"),
        ({"messages": [{"type": "human", "content": "hello"}]}, "hello"),
        ({"messages": [{"type": "HumanMessage", "content": "hello"}]}, "hello"),
        ({"messages": {"role": "user", "content": "hello"}}, "hello"),
        ({"messages": [["user", "hello"]]}, "hello"),
        ({"messages": ["human", "hello"]}, "hello"),
        ({"messages": ["hello", "there"]}, "hello"),
        ({"messages": "hello"}, "hello"),
        ({"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]}, "hello"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "what is"}, "this?"]}]}, "what is this?"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "data": "A"}]}], "topic": "art"}, "art"),
        (
            {"messages": [{"type": "constructor", "id": ["HumanMessage"], "kwargs": {"content": "hello"}}]},
            "hello",
        ),
        ({"style": "short", "question": "why?"}, "why?"),
        ({"style": "short"}, "short"),
        ({"n": 3, "deep": {"question": "why?"}}, None),
        ("hello", "hello"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, None),
        *((odd, None) for odd in ({"messages": 3}, {"messages": [3, None, {}, [], ["x"]]}, [], 3, None, {}, "", " \n")),
        ({"messages": [{"role": 3, "content": "hello"}, {"role": "user", "content": {"a": 1}}]}, None),
    ],
)  # fmt: skip
def test_a_run_says_what_its_thread_is_about(given: Any, title: str | None) -> None:
    assert titles.of_run(given, None) == title


@pytest.mark.parametrize(
    ("command", "title"), [({"resume": "yes"}, "yes"), ({"resume": {"text": "no"}}, "no"), ({"goto": "a"}, None)]
)
def test_an_answer_will_do(command: dict[str, Any], title: str | None) -> None:
    assert titles.of_run(None, command) == title


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines\t here ", "two lines here"),
        ("a\x00b\x1b[31m\u202eevil\u2028", "a b [31m evil"),
        ("\ud800", None),
        ("\U0001f469\u200d\U0001f467 family", "\U0001f469\u200d\U0001f467 family"),
        ("为什么天空是蓝色的", "为什么天空是蓝色的"),
        (3, None),
    ],
)
def test_a_title_is_one_line_that_every_page_and_database_can_hold(text: Any, line: str | None) -> None:
    assert titles.line(text) == line


def test_a_title_is_short_however_long_the_text_is() -> None:
    title = titles.line(LONG * 100_000)
    assert title is not None
    assert len(title) <= titles.LONGEST
    assert title.endswith("question…")
    assert titles.line("a" * titles.LONGEST) == "a" * titles.LONGEST


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ({"title": "a", "name": "b"}, "a"),
        ({"title": "", "name": "b"}, "b"),
        ({"title": 3, "thread_name": "c"}, "c"),
        ({"graph_id": "chat"}, None),
    ],
)
def test_clients_name_threads_in_the_metadata(metadata: dict[str, Any], title: str | None) -> None:
    assert titles.given(metadata) == title


@pytest.mark.parametrize(
    ("values", "title"), [({"title": "A name"}, "A name"), ({"title": None}, None), ([], None), (None, None)]
)
def test_a_graph_may_find_a_name(values: Any, title: str | None) -> None:
    assert titles.of_state(values) == title
