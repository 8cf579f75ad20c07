"""Nothing that users have can be without an owner, and no front door can read it without naming the caller."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deerflow import storage
from deerflow.settings import ROOT
from deerflow.storage import models

NOBODYS = {
    "users": "an owner itself",
    "doomed_threads": "what is to be removed for good; nobody can ask for it",
    "audit": "of administrators; `actor` is who did it, and nobody is signed in when a sign-in fails",
}
"""Tables whose rows belong to no user, and why."""

NAMES_THE_CALLER = {"principal", "user", "user_id", "user_ids", "owner"}

OF_WORKERS = "what a worker does with a run whose claim, or whose thread's lock, has decided whose it is"
OF_THE_CLOCK = "the clock looks after everybody's"
OF_THE_LOCK = "within a transaction that has locked the caller's thread"
OF_WHAT_IS_MADE = "before its row, a thread is nobody's; its maker inserts the row in the same transaction"
OF_THE_SYSTEM = "assistants of the system, which everybody reads"
OF_OPERATORS = "the operator's command line, which reads the database anyway"
OF_CREDENTIALS = "finds whose a secret is that the caller holds"
OF_ADMINISTRATION = "needs users:read, users:write or audit:read, which only administrators have"
OF_AUTHORIZATION = "says what the project's handlers are asked about, before they have said what the caller sees"
OF_METRICS = "numbers about everybody, which name nobody"
OF_SET_UP = "there is no user yet"

INTERNAL = {
    OF_WORKERS: {
        "runs": {"lock_thread", "still_inflight", "peek"},
        "leases": {"claim", "claimed", "renew", "finish", "release", "bury"},
        "cancels": {"mark_cancel", "roll_back", "remove"},
        "threads": {"settle_edit", "discard"},
        "webhooks": {"put"},
    },
    OF_THE_CLOCK: {
        "leases": {"reap"},
        "rings": {"ring", "unring", "unrung", "next_of_thread"},
        "threads": {"doomed", "forget_doomed", "adopt", "without_row", "take_expired", "look_later"},
        "turns": {"last_ordinals"},
        "adoptions": {"unfinished", "hand_over_rest", "finish"},
        "crons": {"due", "take"},
        "webhooks": {"any_due", "claim", "delivered", "failed", "forget"},
        "idempotency": {"remove_expired"},
        "sessions": {"remove_expired"},
        "audit": {"remove_old"},
    },
    OF_THE_LOCK: {"runs": {"insert", "inflight", "ids"}, "threads": {"take_run", "raise_fence"}, "titles": {"left_by"}},
    OF_WHAT_IS_MADE: {"threads": {"reserve", "redeem", "show_head"}},
    OF_THE_SYSTEM: {"assistants": {"ensure_system", "tell_context_schema", "context_schema"}},
    OF_OPERATORS: {"webhooks": {"replay", "replay_dead", "get", "page"}},
    OF_CREDENTIALS: {
        "keys": {"find", "good", "note_used", "is_known"},
        "sessions": {"discard", "find", "note_seen", "good", "addresses"},
    },
    OF_ADMINISTRATION: {"users": {"create", "find_by_email", "page", "counts"}, "audit": {"note", "page", "count"}},
    OF_AUTHORIZATION: {"runs": {"thread_of"}},
    OF_METRICS: {"load": {"measure"}},
    OF_SET_UP: {"users": {"open_set_up", "needs_set_up", "find_unfinished", "finish_set_up"}},
}
"""Storage functions that take no caller, by why they need none."""

FRONT_DOORS_NEVER_CALL = (OF_WORKERS, OF_THE_CLOCK, OF_THE_LOCK, OF_WHAT_IS_MADE, OF_OPERATORS, OF_AUTHORIZATION)


def functions() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Module, name and function of all that storage offers in a transaction."""
    for found in pkgutil.iter_modules(storage.__path__):
        module = importlib.import_module(f"{storage.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if own and next(iter(inspect.signature(function).parameters), None) == "tx":
                yield found.name, name, function


def internal(reasons: Any) -> set[tuple[str, str]]:
    return {(module, name) for reason in reasons for module, names in INTERNAL[reason].items() for name in names}


@pytest.mark.parametrize("table", models.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_row_has_an_owner(table: Any) -> None:
    """scenario 42: NOT NULL, in the key or the table; the few tables without say why."""
    owner = next((table.c[name] for name in ("owner", "user_id") if name in table.c), None)
    if table.name in NOBODYS:
        return
    assert owner is not None, f"{table.name} belongs to nobody"
    assert not owner.nullable


def test_every_storage_function_takes_the_caller() -> None:
    """Or it is told here why it needs none; nothing is told of what is not there."""
    without = {
        (module, name)
        for module, name, function in functions()
        if not NAMES_THE_CALLER & set(inspect.signature(function).parameters)
    }
    assert without == internal(INTERNAL)


@pytest.mark.parametrize("room", ["api", "identity", "web"])
def test_front_doors_call_nothing_internal(room: str) -> None:
    """A view cannot read what is somebody else's, because it cannot leave the caller out."""
    forbidden = internal(FRONT_DOORS_NEVER_CALL)
    called = {
        (node.value.id, node.attr, file.name)
        for file in (ROOT / "deerflow" / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert {(module, name) for module, name, _ in called} & {("threads", "get"), ("keys", "find")}, "something is seen"
    assert [use for use in sorted(called) if use[:2] in forbidden] == []
