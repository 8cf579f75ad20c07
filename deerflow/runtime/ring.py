"""Ring a pending run: number the ring, send its message, and take the number's time back when it cannot be sent."""

import logging
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.storage import rings

log = logging.getLogger(__name__)


def ring(backend: Backend, run: Run) -> None:
    """Send the message of a ring that the row has already numbered."""
    if not backend.bell.ring(run):
        with backend.db.begin() as tx:
            rings.unring(tx, run)


def ring_again(backend: Backend, run_id: UUID) -> None:
    """Give a pending run its next ring; nothing happens when it is not pending any more."""
    with backend.db.begin() as tx:
        run = rings.ring(tx, run_id)
    if run is not None:
        ring(backend, run)


def ring_next(backend: Backend, thread_id: UUID) -> None:
    """A thread has become free: ring the run that waits for it, if there is one."""
    with backend.db.read() as tx:
        waiting = rings.next_of_thread(tx, thread_id)
    if waiting is not None:
        ring_again(backend, waiting)
