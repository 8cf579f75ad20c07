"""Answers that stand for a while."""

from collections.abc import Callable

import pytest

from deerflow.auth.remembered import Remembered
from tests.conftest import wait_for
from tests.factories import at_once


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def finder(answers: list[str], seconds: float = 5.0) -> Callable[[], tuple[str, float]]:
    return lambda: (answers.pop(0), seconds)


def test_an_answer_stands_for_its_time(clock: Clock) -> None:
    remembered: Remembered[str] = Remembered(10, clock=clock)
    find = finder(["one", "two"])
    assert remembered.get("a", find) == remembered.get("a", find) == "one"
    clock.now = 5.0
    assert remembered.get("a", find) == "two"


def test_one_that_stands_for_no_time_is_asked_again(clock: Clock) -> None:
    remembered: Remembered[str] = Remembered(10, clock=clock)
    find = finder(["one", "two"], seconds=0.0)
    assert [remembered.get("a", find), remembered.get("a", find)] == ["one", "two"]


def test_its_time_begins_with_the_question(clock: Clock) -> None:
    remembered: Remembered[str] = Remembered(10, clock=clock)

    def slowly() -> tuple[str, float]:
        clock.now += 4.0
        return "one", 5.0

    remembered.get("a", slowly)
    clock.now += 1.0
    assert remembered.get("a", finder(["two"])) == "two"


def test_the_one_that_was_asked_for_longest_ago_goes_first(clock: Clock) -> None:
    remembered: Remembered[str] = Remembered(2, clock=clock)
    for name in ("a", "b", "a", "c"):
        remembered.get(name, finder([name]))
    assert remembered.get("a", finder(["new"])) == "a"
    assert remembered.get("b", finder(["new"])) == "new"


def test_who_asks_at_once_gets_one_answer() -> None:
    remembered: Remembered[int] = Remembered(10)
    came: list[int] = []
    asked: list[int] = []

    def find() -> tuple[int, float]:
        asked.append(1)
        wait_for(lambda: len(came) == 8, what="all who ask")
        return len(asked), 60.0

    def ask() -> int:
        came.append(1)
        return remembered.get("a", find)

    assert at_once(*[ask] * 8) == [1] * 8
    assert len(asked) == 1


def test_an_error_is_told_to_all_and_not_kept() -> None:
    remembered: Remembered[str] = Remembered(10)

    def fail() -> tuple[str, float]:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered.get("a", fail)
    assert remembered.get("a", finder(["one"])) == "one"
