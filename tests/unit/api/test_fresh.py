"""An answer that is good for a while."""

from itertools import count

from deerflow.api.metrics import Fresh
from tests.factories import at_once


def test_of_many_at_once_one_asks() -> None:
    asked = count(1)
    fresh = Fresh(lambda: next(asked), seconds=60)
    assert at_once(*[fresh.get] * 10) == [1] * 10


def test_it_is_asked_anew_when_its_time_is_over() -> None:
    asked = count(1)
    fresh = Fresh(lambda: next(asked), seconds=0)
    assert [fresh.get(), fresh.get()] == [1, 2]
