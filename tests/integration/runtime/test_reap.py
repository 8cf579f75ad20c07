"""What the clock and the supervisor do for runs of workers that have died."""

from deerflow.backend import Backend
from deerflow.domain.words import RunStatus
from deerflow.runtime.reap import bury, ring_due
from tests.conftest import SilentBell
from tests.factories import make_run, make_running, row_of


def test_what_a_dead_worker_had_heard_and_not_begun_is_rung_again(backend: Backend, bell: SilentBell) -> None:
    """scenario 8: its message is lost with it; what runs elsewhere, or waits behind that, needs no ring."""
    heard = make_run(backend)
    elsewhere = make_running(backend, worker="another")
    make_run(backend, thread_id=elsewhere.thread_id)
    ring_due(backend)
    assert [run.rings for run in bell.rings if run.run_id == heard.run_id] == [1], "the clock gives it a minute"
    bell.rings.clear()
    bury(backend, "dead")
    assert [(run.run_id, run.rings) for run in bell.rings] == [(heard.run_id, 2)]


def test_runs_of_a_dead_worker_are_rung_once(backend: Backend, bell: SilentBell) -> None:
    """They wait for another worker."""
    held = make_running(backend, worker="dead")
    bell.rings.clear()
    bury(backend, "dead")
    assert row_of(backend, held).status is RunStatus.PENDING
    assert [run.run_id for run in bell.rings] == [held.run_id]
