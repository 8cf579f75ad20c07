"""A traceback is what an administrator needs, whatever a graph raises, and never without end."""

import asyncio
from typing import Any

import pytest
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, StateGraph

from deerflow.graphs import jsonable, tracebacks
from tests.graphs import faulty


def raised(act: Any, *given: Any) -> BaseException:
    """What a call raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        act(*given)
    return caught.value


def written(error: BaseException) -> str:
    told = tracebacks.written(error)
    assert told is not None
    return told


def fail(text: str = "boom") -> None:
    raise ValueError(text)


def test_it_begins_with_the_graphs_own_code() -> None:
    """Neither what calls the graph nor LangGraph's machinery stands before it; the source and the error do follow."""
    asked: Any = {"kind": "untold"}
    for error in (raised(faulty.graph.invoke, asked), raised(lambda: asyncio.run(faulty.graph.ainvoke(asked)))):
        error.__traceback__ = inner(error)
        lines = written(error).splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith(", in fail")
        assert "faulty.py" in lines[1]
        assert 'raise OurOwnError("a secret connection string")' in lines[2]
        assert "tests.graphs.faulty.OurOwnError: a secret connection string" in lines


def inner(error: BaseException) -> Any:
    """The traceback below this test's own frames: a worker calls a graph from the server's code."""
    found: Any = error.__traceback__
    while "langgraph" not in found.tb_frame.f_code.co_filename:
        found = found.tb_next
    return found


def test_what_only_the_machinery_raises_is_there_whole() -> None:
    endless = StateGraph(faulty.State).add_node("round", lambda _state: {}).add_edge(START, "round")
    endless.add_edge("round", "round")
    error = raised(endless.compile().invoke, {}, {"recursion_limit": 3})
    error.__traceback__ = inner(error)
    assert isinstance(error, GraphRecursionError)
    assert "langgraph" in written(error).splitlines()[1]


def test_causes_are_told_before_what_came_of_them() -> None:
    def wrap() -> None:
        try:
            fail("first")
        except ValueError as first:
            raise KeyError("second") from first

    told = written(raised(wrap))
    first, between, second = (told.index(each) for each in ("ValueError: first", "direct cause", "KeyError: 'second'"))
    assert first < between < second


def test_every_database_can_hold_it() -> None:
    told = written(raised(fail, "a\0b \ud800 \U0001f98c"))
    assert told.endswith("ValueError: a\ufffdb ? \U0001f98c")
    assert "\0" not in told
    assert told.encode()


@pytest.mark.parametrize("text", ["x" * 1_000_000, "line\n" * 100_000, "\n" * 100_000], ids=["wide", "long", "empty"])
def test_it_ends_whatever_was_raised(text: str) -> None:
    """What is left out is said, and the frames are there all the same."""
    told = written(raised(fail, text))
    assert len(told) <= tracebacks.MOST
    assert "raise ValueError(text)" in told
    assert "…" in told
    assert max(map(len, told.splitlines())) <= 1_001


def test_of_many_causes_the_first_and_the_last_are_kept() -> None:
    def wrap(depth: int) -> None:
        try:
            wrap(depth - 1) if depth else fail("the first of them")
        except (ValueError, KeyError) as error:
            raise KeyError(depth) from error

    told = written(raised(wrap, 60))
    assert len(told) <= tracebacks.MOST
    assert "ValueError: the first of them" in told
    assert told.endswith("KeyError: 60")
    assert "lines are left out" in told


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class UntraceableError(Exception):
    @property
    def __cause__(self) -> Any:
        raise RuntimeError("no cause")


def test_an_error_that_does_not_let_itself_be_told_spoils_nothing() -> None:
    assert written(UnspeakableError()).startswith(f"{__name__}.UnspeakableError: <exception str() failed>")
    assert tracebacks.written(UntraceableError()) is None
    assert jsonable.describe_error(UntraceableError())["error"] == "UntraceableError"
