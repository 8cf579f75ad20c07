"""Threads: who sees them, deleting them, and the order of locks between a thread and its runs."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import sqlalchemy as sa

from deerflow.domain.assistants import AssistantFilter
from deerflow.domain.principal import SYSTEM
from deerflow.domain.text import fit
from deerflow.domain.words import CancelAction, ThreadStatus
from deerflow.errors import Conflict, NotFound
from deerflow.storage import assistants, cancels, models, runs, threads
from tests.conftest import wait_for
from tests.factories import (
    OWNER,
    STRANGER,
    TEAM_MATE,
    at_once,
    finish_run,
    make_run,
    make_running,
    make_spec,
    make_thread,
    row_of,
    submit,
    thread_of,
)


def delete(backend, thread_id, principal=OWNER):
    with backend.db.begin() as tx:
        threads.delete(tx, principal, thread_id)


def doomed(backend):
    with backend.db.read() as tx:
        return [thread_id for thread_id, _ in threads.doomed(tx, limit=10)]


@pytest.mark.parametrize("caller", [TEAM_MATE, STRANGER], ids=lambda caller: caller.user_id)
def test_another_owners_thread_and_runs_look_like_missing_ones(backend, caller):
    """scenario 42"""
    run = make_running(backend)

    def told(act):
        with pytest.raises(NotFound) as seen, backend.db.begin() as tx:
            act(tx)
        return str(seen.value)

    absent = uuid4()
    for act in (threads.get, threads.lock, threads.delete):
        theirs = told(lambda tx, act=act: act(tx, caller, run.thread_id))
        missing = told(lambda tx, act=act: act(tx, caller, absent))
        assert theirs == missing.replace(str(absent), str(run.thread_id))
    theirs = told(lambda tx: runs.get(tx, caller, run.thread_id, run.run_id))
    assert theirs == told(lambda tx: runs.get(tx, caller, absent, absent))
    with backend.db.read() as tx:
        assert runs.page(tx, caller, run.thread_id, status=None, limit=10, offset=0) == []
        assert len(runs.page(tx, OWNER, run.thread_id, status=None, limit=10, offset=0)) == 1
    assert row_of(backend, run) == run


def test_a_run_is_found_on_its_own_thread_only(backend):
    run, other = make_run(backend), make_thread(backend)
    with backend.db.read() as tx:
        assert runs.get(tx, OWNER, run.thread_id, run.run_id) == run
        with pytest.raises(NotFound):
            runs.get(tx, OWNER, other.thread_id, run.run_id)


def test_assistants_are_seen_by_their_owner_and_the_systems_by_all(backend):
    table, own = models.assistants, uuid4()
    with backend.db.begin() as tx:
        row = dict(tx.execute(sa.select(table).limit(1)).one()._mapping)
        tx.execute(sa.insert(table).values(row | {"assistant_id": own, "owner": OWNER.user_id}))
        assert assistants.get(tx, OWNER, own).owner == OWNER.user_id
        with pytest.raises(NotFound):
            assistants.get(tx, STRANGER, own)
        seen = {a.owner for a in assistants.search(tx, STRANGER, limit=100, offset=0)}
    assert seen == {SYSTEM}


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({"name": "ste"}, {"nested", "steps"}),
        ({"name": "STEPS"}, {"steps"}),
        ({"name": "\u00e4%r"}, set()),
        ({"name": "\u00e4_ger"}, set()),
        ({"name": "\0"}, set()),
        ({"name": "\ud800"}, set()),
        ({"name": "\u00c4RGER"}, {"\u00e4rger"}),
        ({"graph_id": "\0"}, set()),
        ({"graph_id": "chat", "metadata": {"created_by": "system"}}, {"chat"}),
        ({"metadata": {"created_by": {"nested": [1]}}}, set()),
    ],
    ids=lambda value: ascii(sorted(value) if isinstance(value, set) else value),
)
def test_assistants_are_found_alike_on_both_databases_whatever_is_asked(backend, wish, found):
    """Of what clients send, the characters that no database keeps have been replaced before it comes here."""
    asked = AssistantFilter(**fit(wish))
    with backend.db.begin() as tx:
        table = models.assistants
        row = dict(tx.execute(sa.select(table).limit(1)).one()._mapping)
        tx.execute(sa.insert(table).values(row | {"assistant_id": uuid4(), "name": "\u00e4rger", "graph_id": "x"}))
        named = {each.name for each in assistants.search(tx, OWNER, asked, limit=100, offset=0)}
    assert named == found


def test_a_runs_page_is_newest_first_and_can_be_cut_and_filtered(backend):
    first = make_running(backend)
    second, third = (make_run(backend, thread_id=first.thread_id) for _ in range(2))

    def page(**wish):
        with backend.db.read() as tx:
            wish = {"status": None, "limit": 10, "offset": 0} | wish
            return [run.run_id for run in runs.page(tx, OWNER, first.thread_id, **wish)]

    assert page() == [third.run_id, second.run_id, first.run_id]
    assert page(limit=1, offset=1) == [second.run_id]
    assert page(status="running") == [first.run_id]


def test_a_deleted_thread_takes_its_runs_along_and_notes_its_checkpoints(backend):
    run, other = make_running(backend), make_run(backend)
    make_run(backend, thread_id=run.thread_id)
    delete(backend, run.thread_id)
    with backend.db.read() as tx:
        assert runs.ids(tx, run.thread_id) == []
        assert threads.doomed(tx, limit=10) == [(run.thread_id, pytest.approx(run.fence, rel=1))]
    assert row_of(backend, other) == other
    with pytest.raises(NotFound):
        delete(backend, run.thread_id)


def test_a_deleted_threads_id_is_taken_until_its_checkpoints_are_gone(backend):
    thread_id = make_thread(backend).thread_id
    delete(backend, thread_id)
    with pytest.raises(Conflict):
        make_thread(backend, thread_id=thread_id)
    with backend.db.begin() as tx:
        ((_, fence),) = threads.doomed(tx, limit=10)
        threads.forget_doomed(tx, thread_id, fence)
    assert make_thread(backend, thread_id=thread_id).thread_id == thread_id


def test_a_clock_that_comes_late_forgets_no_later_deletion_of_the_same_id(backend):
    """What the thread's second life has stored would stay, for whoever uses the id next."""
    thread_id = make_thread(backend).thread_id
    delete(backend, thread_id)
    with backend.db.begin() as tx:
        ((_, first),) = threads.doomed(tx, limit=10)
        threads.forget_doomed(tx, thread_id, first)
    run = make_running(backend, thread_id=make_thread(backend, thread_id=thread_id).thread_id)
    assert run.fence > first
    delete(backend, thread_id)
    with backend.db.begin() as tx:
        threads.forget_doomed(tx, thread_id, first)
        ((_, second),) = threads.doomed(tx, limit=10)
    assert second > first
    with pytest.raises(Conflict):
        make_thread(backend, thread_id=thread_id)


@pytest.mark.parametrize("caller", [OWNER, STRANGER], ids=lambda caller: caller.user_id)
def test_a_taken_id_is_a_conflict_whoever_has_it(backend, caller):
    thread = make_thread(backend)
    with pytest.raises(Conflict):
        make_thread(backend, caller, thread_id=thread.thread_id)
    with backend.db.read() as tx:
        assert threads.get(tx, OWNER, thread.thread_id) == thread


def test_of_creations_of_one_id_at_once_one_wins(backend):
    def create(thread_id):
        try:
            return make_thread(backend, thread_id=thread_id)
        except Conflict:
            return None

    for _ in range(10):
        thread_id = uuid4()
        made = at_once(*[lambda thread_id=thread_id: create(thread_id)] * 4)
        assert len([thread for thread in made if thread is not None]) == 1


def while_the_thread_is_held(backend, run, act, *, meanwhile):
    """Do *meanwhile* in a transaction that holds the run's thread, while *act* waits for it elsewhere."""
    with ThreadPoolExecutor(1) as pool:
        with backend.db.begin() as tx:
            threads.lock(tx, OWNER, run.thread_id)
            acted = pool.submit(act)
            wait_for(lambda: acted.done() or _is_waited_for(backend, tx), what="the other to wait")
            assert not acted.done()
            meanwhile(tx)
        return acted.result(20)


def _is_waited_for(backend, tx):
    if backend.db.is_sqlite:  # there the other waits for the one write lock
        return True
    return tx.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")) > 0


def test_a_finish_and_a_deletion_do_not_wait_for_each_other_in_a_circle(backend):
    run = make_running(backend)
    finished = while_the_thread_is_held(
        backend,
        run,
        lambda: finish_run(backend, run),
        meanwhile=lambda tx: threads.delete(tx, OWNER, run.thread_id),
    )
    assert not finished
    assert doomed(backend) == [run.thread_id]


def test_a_cancel_and_a_deletion_do_not_wait_for_each_other_in_a_circle(backend):
    run = make_run(backend)

    def cancel():
        with backend.db.begin() as tx:
            return cancels.mark_cancel(tx, run, CancelAction.INTERRUPT)

    marked = while_the_thread_is_held(
        backend, run, cancel, meanwhile=lambda tx: threads.delete(tx, OWNER, run.thread_id)
    )
    assert marked is None


def test_a_run_accepted_while_the_one_before_finishes_keeps_the_thread_busy(backend):
    run = make_running(backend)

    def accept(tx):
        threads.take_run(tx, run.thread_id, ordinal=2, title=None, metadata={})
        row = {name: getattr(run, name) for name in ("thread_id", "owner", "assistant_id", "graph_id")}
        row |= {
            "run_id": uuid4(),
            "ordinal": 2,
            "metadata": {},
            "kwargs": {},
            "multitask_strategy": "enqueue",
        }
        runs.insert(tx, row, rung=False)

    assert while_the_thread_is_held(backend, run, lambda: finish_run(backend, run), meanwhile=accept)
    assert thread_of(backend, run).status is ThreadStatus.BUSY


def test_a_run_for_a_thread_that_is_just_being_deleted_finds_none(backend):
    """scenario 17"""
    run = make_running(backend)

    def submit_another():
        try:
            return submit(backend, OWNER, make_spec(), thread_id=run.thread_id)
        except NotFound:
            return None

    assert (
        while_the_thread_is_held(
            backend, run, submit_another, meanwhile=lambda tx: threads.delete(tx, OWNER, run.thread_id)
        )
        is None
    )
