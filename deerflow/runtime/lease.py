"""Leases: one thread per worker renews all its runs' leases and reads their cancel marks.

A thread, because a graph that blocks the loop must not be robbed. A renewal that fails is tried again for as
long as the lease lasts: a database that is away for a moment ends no run. When the lease has run out by our own
clock the run is stopped and stores nothing more; another worker may have it.
"""

import asyncio
import logging
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.runs import Run
from deerflow.storage import leases

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5


class Stop(StrEnum):
    """Why a run has to stop before its end."""

    CANCEL = "cancel"
    LOST = "lease lost"
    DRAIN = "drain"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class Stopper:
    """How a run is told to stop. The first reason counts, but one that waits for a checkpoint can be hurried."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.stopped: asyncio.Future[Stop] = self._loop.create_future()
        self.hurried: asyncio.Future[Stop] = self._loop.create_future()

    def stop(self, why: Stop) -> None:
        """Ask the run to stop. Call it on the loop."""
        if not self.stopped.done():
            self.stopped.set_result(why)
        elif why is not Stop.DRAIN and not self.hurried.done():
            self.hurried.set_result(why)

    def stop_soon(self, why: Stop) -> None:
        """The same from any thread."""
        try:
            self._loop.call_soon_threadsafe(self.stop, why)
        except RuntimeError:  # the loop has ended, and with it the run
            return

    @property
    def why(self) -> Stop | None:
        """The reason that counts now; None while nobody asked."""
        for reason in (self.hurried, self.stopped):
            if reason.done():
                return reason.result()
        return None


@dataclass(eq=False)
class Hold:
    """One run in this worker's hands."""

    run: Run
    stopper: Stopper
    lease_until: float  # time.monotonic
    said: int = 0
    progressed: bool = False
    is_over: bool = False
    """The row says by now that this attempt is over: there is nothing to renew any more."""

    @property
    def alive(self) -> bool:
        """Whether by our own clock the lease still lasts."""
        return time.monotonic() < self.lease_until


class Leases:
    """All leases of one worker."""

    def __init__(self, backend: WorkerBackend, queues: tuple[str, ...]) -> None:
        self._backend = backend
        self._queues = queues
        self._lease = backend.rules.lease.total_seconds()
        self._beat = backend.rules.lease_beat.total_seconds()
        self._held: dict[UUID, Hold] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Start renewing, and tell that this worker is there."""
        self._say_alive()
        self._thread.start()

    def close(self) -> None:
        """Stop renewing; what is still held lapses."""
        self._closing.set()
        self._backend.presence.leave(self._backend.worker)
        self._thread.join(timeout=self._beat)

    def hold(self, run: Run, stopper: Stopper, *, claimed_at: float) -> Hold:
        """Take a run that was just claimed; *claimed_at* is ``time.monotonic()`` from before the claim was sent."""
        hold = Hold(run, stopper, claimed_at + self._lease, said=run.events_upto)
        with self._lock:
            self._held[run.run_id] = hold
        return hold

    def drop(self, hold: Hold) -> None:
        """The run has ended or was handed over."""
        with self._lock:
            if self._held.get(hold.run.run_id) is hold:
                del self._held[hold.run.run_id]

    def drain(self) -> None:
        """Ask every run to reach a checkpoint and let go."""
        for hold in self._snapshot():
            hold.stopper.stop_soon(Stop.DRAIN)

    def _run(self) -> None:
        pause = self._beat
        while not self._closing.wait(pause):
            try:
                self._renew()
                pause = self._beat
            except Exception:  # the beat must go on whatever the database or its driver says
                log.warning("Leases could not be renewed; trying again", exc_info=True)
                pause = min(_RETRY_SECONDS, self._beat)
            self._stop_lapsed()
            self._tell()

    def _say_alive(self) -> None:
        slots = self._backend.rules.worker_runs if "runs" in self._queues else 0
        self._backend.presence.renew(self._backend.worker, self._queues, executing=len(self._held), slots=slots)

    def _tell(self) -> None:
        try:
            self._say_alive()
        except Exception:  # without Redis nobody can ask either, and the leases matter more
            log.debug("Presence could not be told", exc_info=True)

    def _renew(self) -> None:
        held = self._snapshot()
        if not held:
            return
        asked_at = time.monotonic()
        said = {hold.run.run_id: hold.said for hold in held}
        moved = [hold.run.run_id for hold in held if hold.progressed]
        with self._backend.db.begin() as tx:
            ours = leases.renew(tx, self._backend.worker, said, moved, lease=self._backend.rules.lease)
        for hold in held:
            attempt, mark = ours.get(hold.run.run_id, (None, None))
            if attempt != hold.run.attempt:
                self._lost(hold)
                continue
            hold.lease_until = asked_at + self._lease
            if mark is not None:
                hold.stopper.stop_soon(Stop.CANCEL)

    def _stop_lapsed(self) -> None:
        for hold in self._snapshot():
            if not hold.alive:
                self._lost(hold)

    def _lost(self, hold: Hold) -> None:
        with self._lock:
            still_held = self._held.get(hold.run.run_id) is hold
        if still_held and hold.stopper.why is not Stop.LOST:
            log.warning("Lease lost", extra={"run_id": hold.run.run_id, "attempt": hold.run.attempt})
            hold.stopper.stop_soon(Stop.LOST)

    def _snapshot(self) -> list[Hold]:
        with self._lock:
            return [hold for hold in self._held.values() if not hold.is_over]
