"""The clock's look at runs: leases that have lapsed, bells that nobody heard."""

import logging

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.runtime.outbox import note_end
from deerflow.runtime.ring import ring_again, ring_next
from deerflow.storage import leases, rings

log = logging.getLogger(__name__)

_RINGS_A_SWEEP = 100


def reap(backend: Backend) -> None:
    """Take runs from dead workers and ring every run that should be on its way; several clocks do no harm.

    After an outage of the database all leases have lapsed, though nobody has died: for one lease beat their workers
    have the first word.
    """
    if backend.db.seconds_since_outage() > backend.rules.lease_beat.total_seconds():
        with backend.db.begin() as tx:
            reaped = leases.reap(tx, crash_limit=backend.rules.crash_limit)
            for run in reaped:
                if run.is_terminal:
                    note_end(tx, run, status=run.status, error=run.error, values=None)
        for run in reaped:
            _follow_up(backend, run)
    ring_due(backend)


def bury(backend: Backend, worker: str) -> None:
    """A worker is known to be dead: let its runs go on now instead of when their leases lapse.

    A message that it had taken and not yet begun is lost with it; nobody knows whose that was, so all are rung again.
    """
    with backend.db.begin() as tx:
        waiting = rings.unrung(tx, limit=_RINGS_A_SWEEP, quiet_seconds=0.0)
        held = leases.bury(tx, worker)
    if held:
        log.info("Runs of a dead worker freed", extra={"worker": worker, "runs": held})
        reap(backend)
    for run_id in waiting:
        ring_again(backend, run_id)


def _follow_up(backend: Backend, run: Run) -> None:
    facts = {"run_id": run.run_id, "thread_id": run.thread_id, "crashes": run.crashes, "status": run.status}
    log.warning("Worker lost", extra=facts)
    if run.is_terminal:
        backend.tally.ended(run.status)
        backend.log.wake(run.run_id)
        ring_next(backend, run.thread_id)
    else:
        ring_again(backend, run.run_id)


def ring_due(backend: Backend) -> None:
    """Ring pending runs that have become due or whose bell was lost, but never more than workers have still to hear."""
    with backend.db.read() as tx:
        forgotten = rings.unrung(tx, limit=_RINGS_A_SWEEP)
    if not forgotten or backend.bell.waiting("runs") >= len(forgotten):
        return
    for run_id in forgotten:
        ring_again(backend, run_id)
