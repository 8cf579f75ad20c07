"""What an authorization handler is shown of a request, and the request as it leaves it."""

from typing import Any

import pytest

from deerflow.auth.values import body_of, has_handler, value_of
from deerflow.errors import HandlerFailed, Invalid


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ([], False),
        ([("threads", "read")], True),
        ([("threads", "*")], True),
        ([("*", "read")], True),
        ([("*", "*")], True),
        ([("threads", "create"), ("assistants", "*"), ("*", "create")], False),
    ],
)
def test_a_star_stands_for_any_resource_or_action(on: list[tuple[str, str]], expected: bool) -> None:  # noqa: FBT001
    assert has_handler(on, "threads", "read") is expected


RUN = {"assistant_id": "a", "input": {"x": 1}, "config": {"tags": ["t"]}, "metadata": {"owner": "eve", "m": 1}}


def test_a_run_is_shown_as_the_sdk_has_it() -> None:
    assert value_of("create_run", {"thread_id": "t"}, RUN) == {
        "thread_id": "t",
        "assistant_id": "a",
        "metadata": {"m": 1},
        "kwargs": {"input": {"x": 1}, "config": {"tags": ["t"]}},
    }


@pytest.mark.parametrize("action", ["create", "update"])
def test_a_cron_is_shown_as_the_sdk_has_it(action: str) -> None:
    """When it fires, and what its runs are created with apart from that."""
    cron, ids = {**RUN, "schedule": "* * * * *", "end_time": None}, {"thread_id": "t"}
    value = value_of(action, ids, cron, resource="crons")
    assert value == {
        "thread_id": "t",
        "schedule": "* * * * *",
        "end_time": None,
        "metadata": {"m": 1},
        "payload": {"assistant_id": "a", "input": {"x": 1}, "config": {"tags": ["t"]}},
    }
    assert body_of(action, ids, value, resource="crons") == {**cron, "metadata": {"m": 1}}


@pytest.mark.parametrize("action", ["create", "update", "delete", "read", "search", "create_run"])
def test_what_no_handler_changes_stays_but_for_claims(action: str) -> None:
    ids = {"thread_id": "t"}
    kept = {"m": 1} if action in {"create", "update", "create_run"} else RUN["metadata"]
    assert body_of(action, ids, value_of(action, ids, RUN)) == {**RUN, "metadata": kept}


@pytest.mark.parametrize("metadata", [None, {}, "absent"])
@pytest.mark.parametrize("action", ["create", "update", "search", "create_run"])
def test_there_are_always_metadata_to_write_to(action: str, metadata: Any) -> None:
    body = {} if metadata == "absent" else {"metadata": metadata}
    assert value_of(action, {}, body)["metadata"] == {}


def test_the_paths_ids_stay_what_they_were() -> None:
    value = value_of("update", {"thread_id": "t"}, {"thread_id": "other", "metadata": {}})
    assert value["thread_id"] == "t"
    assert body_of("update", {"thread_id": "t"}, {**value, "thread_id": "changed"}) == {"metadata": {}}


def test_metadata_that_are_no_object_are_refused() -> None:
    with pytest.raises(Invalid, match="metadata"):
        value_of("create", {}, {"metadata": [1]})
    with pytest.raises(HandlerFailed):
        body_of("create", {}, {"metadata": [1]})
