"""Reading queries and bodies, without a server."""

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from deerflow.api.wire.body import Shape, flag, many, number
from deerflow.errors import Invalid


class Body(Shape):
    name: str = "default"
    size: int = 0


def request(query: str = "", body: bytes = b"") -> Request:
    return Request(EnvironBuilder(query_string=query, data=body, method="POST").get_environ())


@pytest.mark.parametrize("text", ["1", "true", "True", "TRUE", "yes"])
def test_yes(text: str) -> None:
    """Every client's way to say yes."""
    assert flag(text)


@pytest.mark.parametrize("text", [None, "", "0", "false", "no", "maybe"])
def test_no(text: str | None) -> None:
    """Anything else is no."""
    assert not flag(text)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        ("a=", []),
        ("a=x", ["x"]),
        ("a=x&b=z&a=y", ["x", "y"]),
        ("a=x,y", ["x", "y"]),
        ('a=["x","y"]', ["x", "y"]),
        ('a=["x"]&a=y', ["x", "y"]),
        ("a=[]", []),
    ],
)
def test_many(query: str, expected: list[str]) -> None:
    """A list is repeated, separated by commas, or one JSON array."""
    assert many(request(query), "a") == expected


@pytest.mark.parametrize(("query", "expected"), [("", 7), ("n=0", 0), ("n=-3", -3), ("n=9", 9), ("n=007", 7)])
def test_number(query: str, expected: int) -> None:
    """A whole number within its bounds, or the default."""
    assert number(request(query), "n", default=7, least=-3, most=9) == expected


@pytest.mark.parametrize("text", ["-4", "10", "1.0", "+1", " 1", "1_0", "0x1", "", "٣", "9" * 5_000])
def test_no_number(text: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(Invalid, match="Invalid n "):
        number(request(f"n={text}".replace("+", "%2B")), "n", default=7, least=-3, most=9)


def test_body() -> None:
    """What is known is read, the rest ignored; nothing at all means every default."""
    assert Body.read(request(body=b'{"size": 3, "later": {}}')) == Body(size=3)
    assert Body.read(request()) == Body()


def test_every_wrong_field_is_named() -> None:
    """One answer tells all that is wrong."""
    with pytest.raises(Invalid) as caught:
        Body.read(request(body=b'{"size": "x", "name": null}'))
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["name", "size"]


@pytest.mark.parametrize(("levels", "accepted"), [(100, True), (101, False), (900, False), (100_000, False)])
def test_nesting(levels: int, accepted: bool) -> None:  # noqa: FBT001
    """A body nests a hundred levels at most, itself the first."""
    body = b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    if accepted:
        Body.read(request(body=body))
    else:
        with pytest.raises(Invalid):
            Body.read(request(body=body))


def test_brackets_in_text_do_not_nest() -> None:
    """Only structure counts."""
    assert Body.read(request(body=b'{"name": "' + b"[{" * 1_000 + b'"}')).name == "[{" * 1_000
