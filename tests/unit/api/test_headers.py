"""Which headers reach a graph, and the name of a request."""

from uuid import UUID

import pytest

from deerflow.api.request_id import fitting
from deerflow.api.wire.headers import configurable_of
from deerflow.project import HeaderRule

SENT = [("X-Foo-One", "1"), ("X-Foo-Secret", "2"), ("X-Bar", "3"), ("Authorization", "4"), ("Cookie", "5")]
SENT += [("X-Api-Key", "6"), ("X-Service-Key", "7"), ("X-Tenant-Id", "8"), ("Accept", "9")]


@pytest.mark.parametrize(
    ("include", "exclude", "shown"),
    [
        ((), (), set()),
        (("x-foo*",), (), {"x-foo-one", "x-foo-secret"}),
        (("x-foo*", "x-bar"), ("*secret",), {"x-foo-one", "x-bar"}),
        (("*",), (), {"x-foo-one", "x-foo-secret", "x-bar", "accept"}),
        (("authorization", "cookie", "x-api-key", "x-service-key", "x-tenant-id"), (), set()),
        ((), ("x-foo*",), set()),
    ],
)
def test_rule(include: tuple[str, ...], exclude: tuple[str, ...], shown: set[str]) -> None:
    """What is included and not excluded, by lower-case names; secrets never."""
    found = configurable_of(SENT, HeaderRule(include, exclude), "req-1")
    assert found.pop("langgraph_request_id") == "req-1"
    assert set(found) == shown
    assert found.get("x-bar", "3") == "3"


@pytest.mark.parametrize("sent", ["", "two words", "é", "x" * 129, None])
def test_request_id_is_made_when_none_fits(sent: str | None) -> None:
    assert UUID(fitting(sent))


def test_request_id_of_the_client() -> None:
    assert fitting("abc-1") == "abc-1"
