"""The v2 protocol's rules: who hears what, and how events are numbered."""

from typing import Any

import pytest

from deerflow.domain.protocol import ProtocolEvent, Subscription, before, normalized, seq_of
from deerflow.domain.turns import Spot

EVENTS = {
    "root": ("values", (), {}),
    "a": ("values", ("a:1",), {}),
    "ab": ("values", ("a:1", "b:2"), {}),
    "other": ("values", ("other:1",), {}),
    "plain": ("custom", (), {"payload": 1}),
    "named": ("custom", (), {"payload": 1, "name": "mine"}),
    "question": ("input.requested", (), {"interrupt_id": "i"}),
}


@pytest.mark.parametrize(
    ("wish", "heard"),
    [
        ({"channels": {"values"}}, ["root", "a", "ab", "other"]),
        ({"channels": {"values"}, "namespaces": ((),), "depth": 0}, ["root"]),
        ({"channels": {"values"}, "namespaces": ((),), "depth": 1}, ["root", "a", "other"]),
        ({"channels": {"values"}, "namespaces": (("a",),)}, ["a", "ab"]),
        ({"channels": {"values"}, "namespaces": (("a:1",),), "depth": 0}, ["a"]),
        ({"channels": {"values"}, "namespaces": (("a:2",), ("other",))}, ["other"]),
        ({"channels": {"values"}, "namespaces": (("a", "b"),)}, ["ab"]),
        ({"channels": {"values"}, "namespaces": (("a", "b", "c"),)}, []),
        ({"channels": {"custom"}}, ["plain", "named"]),
        ({"channels": {"custom:mine"}}, ["named"]),
        ({"channels": {"custom:nobodys"}}, []),
        ({"channels": {"input"}}, ["question"]),
        ({"channels": {"values"}, "since": 4}, ["other"]),
    ],
)
def test_a_subscription_takes_what_it_names(wish: dict[str, Any], heard: list[str]) -> None:
    wanted = Subscription(**{**wish, "channels": frozenset(wish["channels"])})
    found = []
    for seq, (name, (method, namespace, data)) in enumerate(EVENTS.items(), start=2):
        event = ProtocolEvent(method, name, seq, 0, namespace, data)
        if wanted.takes(event):
            assert wanted.may_take(method)
            found.append(name)
    assert found == heard


def test_numbers_grow_with_runs_entries_and_what_one_entry_tells() -> None:
    spots = [(Spot(1, 1), 0), (Spot(1, 1), 255), (Spot(1, 2), 0), (Spot(1, (1 << 24) - 1), 255), (Spot(2, 1), 0)]
    numbers = [seq_of(spot, k) for spot, k in spots]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 2**53  # as far as JavaScript counts


@pytest.mark.parametrize(
    ("seq", "spot"),
    [
        (-1, Spot(0, 0)),
        (0, Spot(0, 0)),
        (seq_of(Spot(1, 1)), Spot(1, 0)),
        (seq_of(Spot(3, 7), 9), Spot(3, 6)),
        ((1 << 53) - 1, Spot((1 << 21) - 1, (1 << 24) - 2)),
        (1 << 80, Spot((1 << 31) - 1, 0)),
    ],
)
def test_who_comes_back_is_read_from_before_the_entry_that_it_has_seen(seq: int, spot: Spot) -> None:
    """It may have more events than were seen; and a number that nothing has is no failure."""
    assert before(seq) == spot


@pytest.mark.parametrize("values", [None, 7, "a", [1], {"a": [1, {"type": "ai"}], "b": {"type": "ai", "content": 1}}])
def test_what_are_no_messages_stays_as_it_is(values: Any) -> None:
    assert normalized(values) == values


def test_messages_are_shown_with_the_fields_that_the_protocol_knows() -> None:
    shown = normalized({
        "messages": [
            {"type": "user", "content": "hi", "id": "1", "additional_kwargs": {}, "example": False},
            {"type": "assistant", "content": [], "response_metadata": {"m": 1}, "tool_calls": [], "usage_metadata": 1},
            {"type": "ai", "content": "", "invalid_tool_calls": [{"id": "x"}]},
        ]
    })  # fmt: skip
    assert shown["messages"] == [
        {"type": "human", "content": "hi", "id": "1", "example": False},
        {"type": "ai", "content": [], "response_metadata": {"m": 1}},
        {"type": "ai", "content": "", "invalid_tool_calls": [{"id": "x"}]},
    ]
