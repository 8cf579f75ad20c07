"""An event that is too large says less, in the same shape; one that is not stays as it is."""

from typing import Any

import orjson
import pytest

from deerflow.graphs import oversize

MOST = 10_000
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 5_000
MESSAGE = {"type": "human", "id": "m1", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url"}]}


def fitted(value: Any) -> Any:
    """What is left of a value; always within the bound, or as near as one note."""
    data = oversize.fit(orjson.dumps(value), MOST)
    assert len(data) <= MOST
    return orjson.loads(data)


@pytest.mark.parametrize("value", [{}, [1, "a"], "x" * (MOST - 2), {"a": ["y" * 3_000] * 3}, None])
def test_what_fits_stays_as_it_is(value: Any) -> None:
    data = orjson.dumps(value)
    assert oversize.fit(data, MOST) is data


def test_the_longest_text_goes_and_the_rest_stays() -> None:
    """scenario 34: the note says what is left out, how much, and where the whole is"""
    left = fitted({"messages": [MESSAGE, {"url": PICTURE}], "title": "t" * 5_000, "count": 3, "none": None})
    note = left["messages"][1]["url"]
    assert left == {"messages": [MESSAGE, {"url": note}], "title": "t" * 5_000, "count": 3, "none": None}
    assert f"{len(PICTURE) + 2} bytes" in note
    assert "data:image/png;base64," in note
    assert "the thread's state has the whole" in note


def test_no_more_goes_than_has_to() -> None:
    """Of many that are equally long some stay, however deep they are."""
    left = fitted([[["z" * 2_000]] for _ in range(10)])
    kept = [inner == "z" * 2_000 for ((inner,),) in left]
    assert len(kept) == 10
    assert kept.count(True) == 4


@pytest.mark.parametrize("value", ["w" * 2 * MOST, "é漢😀" * MOST, '"\\\n' * MOST])
def test_an_event_that_is_one_text_is_a_note(value: str) -> None:
    assert isinstance(fitted(value), str)
    assert isinstance(fitted([value, {"a": value}])[1]["a"], str)


@pytest.mark.parametrize("value", [list(range(MOST)), {"k" * 2 * MOST: 1}, ["s" * 20] * MOST])
def test_what_cannot_be_made_to_fit_says_so(value: Any) -> None:
    """Millions of small things, or a key that is too long."""
    left = fitted(value)
    assert list(left) == ["left_out"]
    assert f"{len(orjson.dumps(value))} bytes" in left["left_out"]
