"""Due crons: each time fires once, whatever clock dies or races, and nobody's cron does what they may not."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend, open_backend
from deerflow.domain.crons import Cron
from deerflow.domain.ids import new_id
from deerflow.domain.principal import SYSTEM, Principal
from deerflow.domain.runs import Run, RunSpec
from deerflow.domain.words import CancelAction, IfNotExists, MultitaskStrategy, OnCompletion
from deerflow.errors import Unavailable
from deerflow.runtime import tick as ticking
from deerflow.runtime.reap import ring_due
from deerflow.runtime.schedule import add_cron
from deerflow.runtime.tick import tick
from deerflow.settings import Settings
from deerflow.storage import adoptions, crons, models, runs, threads, users
from tests.conftest import SilentBell
from tests.factories import OWNER, at_once, make_run, make_running, make_thread, make_user, row_of, set_columns


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a tick could be over before it has come to all that a test is about."""
    monkeypatch.setattr(ticking, "_LONGEST_SECONDS", 60.0)


def make_cron(
    backend: Backend,
    principal: Principal = OWNER,
    thread_id: UUID | None = None,
    *,
    assistant: str = "steps",
    **of: Any,
) -> Cron:
    """A cron that is due once an hour, and not soon: never between two ticks of a test.

    Keyword arguments are fields of what its runs are created with.
    """
    stateless = {"temporary": True, "on_completion": OnCompletion.DELETE, "if_not_exists": IfNotExists.CREATE}
    spec = RunSpec(assistant, **(of if thread_id else {**stateless, **of}))
    schedule = f"{(datetime.now(UTC).minute + 30) % 60} * * * *"
    values = {"thread_id": thread_id, "schedule": schedule, "timezone": None, "end_time": None, "enabled": True}
    with backend.db.begin() as tx:
        return add_cron(tx, backend, principal, spec, {**values, "payload": {}, "metadata": {}})


def set_cron(backend: Backend, cron: Cron, **values: Any) -> None:
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.crons).where(models.crons.c.cron_id == cron.cron_id).values(values))


def make_due(backend: Backend, *which: Cron, ago: float = 1.0) -> datetime:
    """Put the next run of crons into the past, as waiting would; when that is."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    for cron in which:
        set_cron(backend, cron, next_run_at=at)
    return at


def now_of(backend: Backend, cron: Cron) -> Cron:
    with backend.db.read() as tx:
        return crons.get(tx, OWNER, cron.cron_id)


def all_runs(backend: Backend) -> list[Run]:
    with backend.db.read() as tx:
        return [runs.record(row) for row in tx.execute(sa.select(*runs.columns).order_by(models.runs.c.run_id))]


def count(backend: Backend, table: sa.Table) -> int:
    with backend.db.read() as tx:
        return tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def is_ahead(backend: Backend, cron: Cron) -> bool:
    """Whether the next run is the next one of its schedule."""
    found, now = now_of(backend, cron), datetime.now(UTC)
    next_run = found.next_run_at
    assert next_run is not None
    is_on_time = (f"{next_run.minute} * * * *", next_run.second) == (found.schedule, 0)
    return is_on_time and now < next_run <= now + timedelta(hours=1)


def test_a_due_cron_has_a_run(backend: Backend, bell: SilentBell) -> None:
    """As its creator would have made it, on a thread of its own, and rung; the cron is moved ahead."""
    user = {"identity": "ada"}
    creator = Principal("owner", OWNER.permissions, user=user)
    cron = make_cron(backend, creator, input={"a": 1}, metadata={"m": 1}, config={"configurable": {"x": 1}})
    tick(backend)
    assert all_runs(backend) == []
    make_due(backend, cron)
    tick(backend)
    (run,) = all_runs(backend)
    assert (run.owner, run.kwargs["user"], run.kwargs["input"]) == ("owner", user, {"a": 1})
    assert run.takes_its_thread
    assert run.metadata["cron_id"] == run.kwargs["config"]["configurable"]["cron_id"] == str(cron.cron_id)
    assert (run.metadata["m"], run.kwargs["config"]["configurable"]["x"]) == (1, 1)
    assert [rung.run_id for rung in bell.rings] == [run.run_id]
    with backend.db.read() as tx:
        assert threads.get(tx, OWNER, run.thread_id).metadata["m"] == 1
    assert is_ahead(backend, cron)
    tick(backend)
    assert len(all_runs(backend)) == 1


def test_runs_of_a_threads_cron_queue_up(backend: Backend, bell: SilentBell) -> None:
    """Unless its strategy says otherwise."""
    busy = make_running(backend)
    cron = make_cron(backend, OWNER, busy.thread_id)
    bell.rings.clear()
    for _ in range(2):
        make_due(backend, cron)
        tick(backend)
    assert [run.thread_id for run in all_runs(backend)] == [busy.thread_id] * 3
    assert bell.rings == []


def test_a_cron_may_displace_what_runs(backend: Backend) -> None:
    busy = make_running(backend)
    cron = make_cron(backend, OWNER, busy.thread_id, multitask_strategy=MultitaskStrategy.INTERRUPT)
    make_due(backend, cron)
    tick(backend)
    assert row_of(backend, busy).cancel_action is CancelAction.INTERRUPT
    assert len(all_runs(backend)) == 2


def test_clocks_at_once_fire_once(settings: Settings, backend: Backend) -> None:
    """Four of them, on connections of their own."""
    thread = make_thread(backend).thread_id
    due = [make_cron(backend, OWNER, thread) for _ in range(3)] + [make_cron(backend) for _ in range(3)]
    others = [open_backend(settings) for _ in range(3)]
    for other in others:
        other.bell.close()
        object.__setattr__(other, "bell", SilentBell())
    for turn in (1, 2):
        make_due(backend, *due)
        at_once(*[lambda each=each: tick(each) for each in (backend, *others)])
        assert sorted(run.metadata["cron_id"] for run in all_runs(backend)) == sorted(
            str(cron.cron_id) for cron in due * turn
        )
    for other in others:
        other.close()


class Killed(BaseException):
    """The process is gone: nothing that was to follow happens."""


@pytest.mark.parametrize("at", ["after the cron has moved", "before the commit"])
def test_a_clock_that_dies_before_the_commit_has_done_nothing(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The next tick does it all."""
    cron = make_cron(backend)
    due = make_due(backend, cron)
    admit_run = ticking.admit_run

    def die(*args: Any) -> Any:
        if at == "before the commit":
            admit_run(*args)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ticking, "admit_run", die)
        with pytest.raises(Killed):
            tick(backend)
    assert (all_runs(backend), now_of(backend, cron).next_run_at) == ([], due)
    tick(backend)
    tick(backend)
    assert len(all_runs(backend)) == 1


def test_a_clock_that_dies_after_the_commit_leaves_a_run_to_be_rung(
    backend: Backend, bell: SilentBell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaper rings it when it has been quiet for too long; no second one is made."""
    cron = make_cron(backend)
    make_due(backend, cron)

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ticking, "set_going", die)
        with pytest.raises(Killed):
            tick(backend)
    (run,) = all_runs(backend)
    tick(backend)
    assert (len(all_runs(backend)), bell.rings) == (1, [])
    set_columns(backend, run, rung_at=datetime.now(UTC) - timedelta(minutes=2))
    ring_due(backend)
    assert [rung.run_id for rung in bell.rings] == [run.run_id]


def test_without_a_broker_the_run_waits(backend: Backend, bell: SilentBell) -> None:
    cron = make_cron(backend)
    make_due(backend, cron)
    bell.broken = True
    tick(backend)
    bell.broken = False
    ring_due(backend)
    assert [run.run_id for run in bell.rings] == [run.run_id for run in all_runs(backend)]


def test_what_was_missed_fires_once(backend: Backend) -> None:
    """A clock that stood still for three days makes up for it with one run, and counts from now."""
    cron = make_cron(backend)
    make_due(backend, cron, ago=3 * 86_400)
    for _ in range(3):
        tick(backend)
    assert len(all_runs(backend)) == 1
    assert is_ahead(backend, cron)


def test_nothing_is_made_up_for_after_the_end(backend: Backend) -> None:
    cron = make_cron(backend)
    at = make_due(backend, cron, ago=60)
    set_cron(backend, cron, end_time=at + timedelta(seconds=30))
    tick(backend)
    assert (all_runs(backend), now_of(backend, cron).next_run_at) == ([], None)


def test_the_last_run_before_the_end_is_the_last(backend: Backend) -> None:
    cron = make_cron(backend)
    make_due(backend, cron)
    set_cron(backend, cron, end_time=datetime.now(UTC) + timedelta(minutes=10))
    tick(backend)
    assert len(all_runs(backend)) == 1
    assert now_of(backend, cron).next_run_at is None


@pytest.mark.parametrize("change", [{"enabled": False}, {"next_run_at": None}])
def test_what_is_not_due_does_not_fire(backend: Backend, change: dict[str, Any]) -> None:
    cron = make_cron(backend)
    make_due(backend, cron)
    set_cron(backend, cron, **change)
    tick(backend)
    assert all_runs(backend) == []


def test_a_cron_that_was_changed_meanwhile_is_as_it_is_now(backend: Backend) -> None:
    """Between the look and the taking: disabled, or another input."""
    one, other = make_cron(backend), make_cron(backend)
    make_due(backend, one, other)
    with backend.db.read() as tx:
        found = crons.due(tx, limit=10)
    set_cron(backend, one, enabled=False)
    with backend.db.begin() as tx:
        crons.change(tx, OWNER, crons.lock(tx, OWNER, other.cron_id), {"spec": RunSpec("steps", input={"new": 1})})
        taken = {each.cron_id: crons.take(tx, each) for each in found}
    assert taken[one.cron_id] is None
    cron = taken[other.cron_id]
    assert cron is not None
    assert cron.spec.input == {"new": 1}


def _gone_from_the_project(backend: Backend, _thread: UUID) -> Cron:
    row = {"assistant_id": new_id(), "owner": SYSTEM, "graph_id": "old", "name": "old", "version": 1}
    with backend.db.begin() as tx:
        tx.execute(sa.insert(models.assistants).values(row | {name: {} for name in ("config", "context", "metadata")}))
    cron = make_cron(backend)
    spec = {"assistant": str(row["assistant_id"]), "temporary": True, "if_not_exists": "create"}
    set_cron(backend, cron, assistant_id=row["assistant_id"], spec=spec)
    return cron


REFUSED = {
    "busy": lambda backend, thread: make_cron(backend, OWNER, thread, multitask_strategy=MultitaskStrategy.REJECT),
    "full": lambda backend, thread: make_cron(backend, OWNER, thread),
    "no such graph": _gone_from_the_project,
    "steps": lambda backend, _thread: make_cron(backend, config={"recursion_limit": backend.rules.recursion_limit}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_refused_run_holds_up_nobody(backend: Backend, caplog: pytest.LogCaptureFixture, why: str) -> None:
    """It stays away until the next time: not tried in a loop, and told in the log."""
    running = make_running(backend)
    refused = REFUSED[why](backend, running.thread_id)
    limit = 0 if why == "steps" else backend.rules.recursion_limit
    rules = type(backend.rules)(**{**vars(backend.rules), "thread_queue_limit": 1, "recursion_limit": limit})
    if why in {"full", "steps"}:
        object.__setattr__(backend, "rules", rules)
    if why == "full":
        make_run(backend, thread_id=running.thread_id)
    before, threads_before, last = len(all_runs(backend)), count(backend, models.threads), make_cron(backend, config={})
    make_due(backend, refused, ago=2)
    make_due(backend, last)
    with caplog.at_level(logging.WARNING):
        tick(backend)
        tick(backend)
    assert [r.cron_id for r in caplog.records if r.message == "Cron's run refused"] == [refused.cron_id]  # type: ignore[attr-defined]
    assert [run.metadata["cron_id"] for run in all_runs(backend)[before:]] == [str(last.cron_id)]
    assert count(backend, models.threads) == threads_before + 1, "a refused run leaves no thread of its own"
    assert is_ahead(backend, refused)


def test_a_broken_cron_holds_up_nobody(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with it: it is logged with the stack, and tried at its next time."""
    broken, good = make_cron(backend, input="broken"), make_cron(backend)
    make_due(backend, broken, ago=2)
    make_due(backend, good)
    admit_run = ticking.admit_run

    def fail(*args: Any) -> Any:
        if args[3].input == "broken":
            raise ZeroDivisionError
        return admit_run(*args)

    monkeypatch.setattr(ticking, "admit_run", fail)
    tick(backend)
    assert [run.metadata["cron_id"] for run in all_runs(backend)] == [str(good.cron_id)]
    assert [r.exc_info is not None for r in caplog.records if r.message == "Cron failed"] == [True]
    assert is_ahead(backend, broken)


def test_an_outage_is_nobodys_fault(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cron is due as before when the database is back."""
    cron = make_cron(backend)
    due = make_due(backend, cron)

    def away(*_: Any) -> Any:
        raise Unavailable("The database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(ticking, "admit_run", away)
        with pytest.raises(Unavailable):
            tick(backend)
    assert now_of(backend, cron).next_run_at == due
    tick(backend)
    assert len(all_runs(backend)) == 1


def test_a_zone_that_has_gone_stops_the_cron(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """It has its last run; nobody knows when the next one would be."""
    cron = make_cron(backend)
    make_due(backend, cron)
    set_cron(backend, cron, timezone="Mars/X")
    tick(backend)
    assert (len(all_runs(backend)), now_of(backend, cron).next_run_at) == (1, None)
    assert "Cron stopped" in [record.message for record in caplog.records]


def test_very_many_do_not_hold_up_the_clock(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick ends in time; the longest due come first, and the rest at the next tick."""
    due = [make_cron(backend) for _ in range(4)]
    for place, cron in enumerate(due):
        make_due(backend, cron, ago=10 - place)
    with monkeypatch.context() as patched:
        patched.setattr(ticking, "_MOST", 3)
        tick(backend)
    assert [run.metadata["cron_id"] for run in all_runs(backend)] == [str(cron.cron_id) for cron in due[:3]]
    with monkeypatch.context() as patched:
        patched.setattr(ticking, "_LONGEST_SECONDS", -1.0)
        tick(backend)
    assert len(all_runs(backend)) == 3
    tick(backend)
    assert len(all_runs(backend)) == 4


def test_a_disabled_accounts_crons_do_not_fire(backend: Backend) -> None:
    """scenario 52: they go on when the account is enabled again, with the next time; a deleted account's never."""
    user, gone = make_user(backend, "ada@example.com"), Principal(str(new_id()), OWNER.permissions)
    cron = make_cron(backend, Principal(user.owner, OWNER.permissions))
    make_due(backend, cron, make_cron(backend, gone))
    with backend.db.begin() as tx:
        users.disable(tx, user.user_id)
    tick(backend)
    tick(backend)
    assert all_runs(backend) == []
    with backend.db.begin() as tx:
        users.change(tx, user.user_id, disabled_at=None)
    tick(backend)
    assert all_runs(backend) == [], "what was due meanwhile is not made up for"
    make_due(backend, cron)
    tick(backend)
    assert [run.owner for run in all_runs(backend)] == [user.owner]


def test_an_heirs_crons_are_the_heirs(backend: Backend) -> None:
    """scenario 52: what changes hands takes its crons along, and they act for who owns them now."""
    on_thread = make_cron(backend, OWNER, make_thread(backend).thread_id)
    alone = make_cron(backend)
    make_due(backend, on_thread, alone)
    with backend.db.begin() as tx:
        adoptions.begin(tx, "owner", "heir")
    tick(backend)
    assert [run.owner for run in all_runs(backend)] == ["heir", "heir"]
    with backend.db.read() as tx:
        assert crons.get(tx, Principal("heir", frozenset()), alone.cron_id).owner == "heir"


def test_a_thread_that_is_deleted_meanwhile(backend: Backend) -> None:
    """Its cron goes with it, and fires no more."""
    for _ in range(3):
        thread_id = make_thread(backend).thread_id
        make_due(backend, make_cron(backend, OWNER, thread_id))

        def remove(thread_id: UUID = thread_id) -> None:
            with backend.db.begin() as tx:
                threads.delete(tx, OWNER, thread_id)

        at_once(lambda: tick(backend), remove)
        assert all_runs(backend) == []
        assert count(backend, models.crons) == 0
