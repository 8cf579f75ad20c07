"""A handler's filter replaces the owner: for every statement that reads users' things, alike on both databases."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.threads import ThreadFilter
from deerflow.domain.words import CancelAction, IfNotExists, RunStatus
from deerflow.errors import Conflict, NotFound
from deerflow.runtime.cancel import cancel, cancel_all, left_of
from deerflow.storage import assistants, runs, thread_search, threads
from deerflow.storage.database import Tx
from tests.factories import OWNER, TEAM_MATE, make_run, make_spec, make_thread, submit

CREATE = IfNotExists.CREATE
Look = Callable[[Tx, Principal, UUID, UUID], object]

LOOKS: dict[str, Look] = {
    "get a thread": lambda tx, who, thread_id, _: threads.get(tx, who, thread_id),
    "lock a thread": lambda tx, who, thread_id, _: threads.lock(tx, who, thread_id),
    "change a thread": lambda tx, who, thread_id, _: threads.change(tx, who, thread_id, {"a": 1}),
    "delete a thread": lambda tx, who, thread_id, _: threads.delete(tx, who, thread_id),
    "get a run": runs.get,
    "get a run alone": lambda tx, who, _, run_id: runs.get_alone(tx, who, run_id),
}


def can_see(backend: Backend, look: Look, who: Principal, thread_id: UUID, run_id: UUID) -> bool:
    """Whether a statement finds the thread or run; what it changes is undone."""
    with backend.db.begin() as tx:
        undo = tx.begin_nested()
        try:
            look(tx, who, thread_id, run_id)
        except NotFound:
            return False
        finally:
            undo.rollback()
    return True


def seeing(principal: Principal, **filters: dict[str, Any]) -> Principal:
    return replace(principal, filters=filters)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"team": "a"}, True),
        ({}, True),
        ({"members": ["eve"]}, True),
        ({"members": ["eve", "ada"], "level": 2}, True),
        ({"team": "b"}, False),
        ({"team": "a", "level": 3}, False),
        ({"members": ["bob"]}, False),
        ({"members": "eve"}, False),
        ({"level": "2"}, False),
        ({"level": True}, False),
        ({"owner": "owner"}, False),
    ],
    ids=str,
)
def test_who_matches_sees_whoever_owns_it(backend: Backend, wanted: dict[str, Any], found: bool) -> None:  # noqa: FBT001
    thread_id = make_thread(backend, team="a", members=["ada", "eve"], level=2).thread_id
    run = make_run(backend, thread_id=thread_id)
    assert {
        (name, caller.user_id): can_see(backend, look, seeing(caller, threads=wanted), thread_id, run.run_id)
        for name, look in LOOKS.items()
        for caller in (OWNER, TEAM_MATE)
    } == {(name, caller.user_id): found for name in LOOKS for caller in (OWNER, TEAM_MATE)}


def test_pages_and_counts_follow_the_filter(backend: Backend) -> None:
    ours, theirs = make_thread(backend, team="a"), make_thread(backend, TEAM_MATE, team="b")
    run, other = (make_run(backend, thread_id=ours.thread_id), make_run(backend, TEAM_MATE, thread_id=theirs.thread_id))
    page = {"sort_by": "created_at", "descending": False, "limit": 9, "offset": 0}
    for team, wanted, its_run in (("a", ours, run), ("b", theirs, other)):
        caller = seeing(TEAM_MATE, threads={"team": team})
        with backend.db.read() as tx:
            assert [t.thread_id for t in thread_search.search(tx, caller, ThreadFilter(), **page)] == [wanted.thread_id]
            assert thread_search.count(tx, caller, ThreadFilter()) == 1
            assert thread_search.count(tx, caller, ThreadFilter(metadata={"team": "z"})) == 0
            found = runs.page(tx, caller, wanted.thread_id, status=None, limit=9, offset=0)
            hidden = runs.page(
                tx, seeing(caller, threads={"team": "z"}), wanted.thread_id, status=None, limit=9, offset=0
            )
        assert ([r.run_id for r in found], hidden) == ([its_run.run_id], [])


def test_cancelling_all_reaches_what_the_filter_matches(backend: Backend) -> None:
    run = make_run(backend, thread_id=make_thread(backend, team="a").thread_id)
    other = make_run(backend, thread_id=make_thread(backend, team="b").thread_id)
    caller = seeing(TEAM_MATE, threads={"team": "a"})
    assert cancel_all(backend, caller, CancelAction.INTERRUPT, [RunStatus.PENDING]) == 1
    with backend.db.read() as tx:
        statuses = [runs.get(tx, OWNER, r.thread_id, r.run_id).status for r in (run, other)]
    assert statuses == [RunStatus.INTERRUPTED, RunStatus.PENDING]


def test_system_assistants_are_seen_unless_a_filter_says_otherwise(backend: Backend) -> None:
    def names(caller: Principal) -> int:
        with backend.db.read() as tx:
            return len(assistants.search(tx, caller, limit=99, offset=0))

    assert names(OWNER) == names(seeing(OWNER, threads={"team": "a"})) > 5
    assert names(seeing(OWNER, assistants={"team": "a"})) == 0
    assert names(seeing(OWNER, assistants={"created_by": "system"})) == names(OWNER)


def test_a_run_is_submitted_on_a_thread_that_the_filter_matches(backend: Backend) -> None:
    """The run is its creator's, the thread stays its own; a new thread need not match to be made."""
    thread = make_thread(backend, team="a")
    caller = seeing(TEAM_MATE, threads={"team": "a"})
    run = submit(backend, caller, make_spec(), thread_id=thread.thread_id)
    assert run.owner == TEAM_MATE.user_id
    with pytest.raises(NotFound):
        submit(backend, seeing(TEAM_MATE, threads={"team": "b"}), make_spec(), thread_id=thread.thread_id)
    new = submit(backend, caller, make_spec(if_not_exists=CREATE), thread_id=uuid4())
    assert new.owner == TEAM_MATE.user_id
    with pytest.raises(Conflict):
        submit(backend, seeing(OWNER, threads={"team": "a"}), make_spec(if_not_exists=CREATE), thread_id=new.thread_id)


def test_what_is_left_of_a_rolled_back_run_is_seen_by_who_sees_its_thread(backend: Backend) -> None:
    thread = make_thread(backend, team="a")
    run = make_run(backend, thread_id=thread.thread_id)
    cancel(backend, OWNER, thread.thread_id, run.run_id, CancelAction.ROLLBACK)
    for who, seen in [(OWNER, True), (TEAM_MATE, False), (seeing(TEAM_MATE, threads={"team": "a"}), True),
                      (seeing(OWNER, threads={"team": "b"}), False)]:  # fmt: skip
        if seen:
            assert left_of(backend, who, None, run.run_id).thread_id == thread.thread_id
        else:
            with pytest.raises(NotFound):
                left_of(backend, who, None, run.run_id)


def test_what_is_left_of_a_stateless_run_is_its_owners(backend: Backend) -> None:
    run = make_run(backend, thread_id=make_thread(backend, team="a").thread_id, temporary=True, on_completion="delete")
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.INTERRUPT)
    assert left_of(backend, seeing(OWNER, threads={"team": "a"}), None, run.run_id).owner == OWNER.user_id
    with pytest.raises(NotFound):
        left_of(backend, seeing(TEAM_MATE, threads={}), None, run.run_id)
