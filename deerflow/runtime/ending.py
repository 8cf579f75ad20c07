"""How an attempt of a run ends: finished, rolled back, handed over or given back; one transaction each.

What the row says counts, not who told the run to stop: a cancel's mark decides, a newer attempt takes everything.
A database that is away is waited for as long as the lease lasts.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import RunStatus
from deerflow.errors import Fenced, Unavailable
from deerflow.events.writer import LogWriter
from deerflow.graphs import jsonable
from deerflow.graphs.gate import Gate
from deerflow.graphs.registry import Graph
from deerflow.graphs.stream import read_head
from deerflow.runtime.cancel import INTERRUPTED, ROLLED_BACK, tombstone
from deerflow.runtime.lease import Hold, Stop
from deerflow.runtime.outbox import note_end
from deerflow.runtime.ring import ring_again
from deerflow.storage import cancels, leases, rings, runs, threads
from deerflow.storage.database import Tx

T = TypeVar("T")

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.25
_GIVE_BACK_SECONDS = 60.0
"""How long a worker whose lease has run out tries to tell so; after that the reaper has to find out."""


@dataclass(frozen=True)
class Ending:
    """How a run ends: what its row, its thread and whoever waits for it are told."""

    status: RunStatus
    error: dict[str, str] | None = None
    thread_error: dict[str, str] | None = None
    head: ThreadHead | None = None
    values: Any = None
    traceback: str | None = None
    """Where in the code the graph failed. Only administrators are told."""


class Conclusion:
    """Brings one attempt to its end. *open_graph*: the graph, for looking at the state that it leaves."""

    def __init__(
        self,
        backend: WorkerBackend,
        hold: Hold,
        writer: LogWriter,
        open_graph: Callable[[], AbstractAsyncContextManager[Graph]],
    ) -> None:
        self._backend, self._hold, self._run, self._writer = backend, hold, hold.run, writer
        self._open_graph = open_graph
        self._gate = Gate(writer.flush, lambda: hold.alive)  # of its own: the graph's is shut by now

    async def conclude(self, ending: Ending | None) -> None:
        """Write down how the attempt ends; *ending* is the graph's own, None when it was stopped."""
        try:
            await self._decide(ending)
        except (Fenced, Unavailable):
            log.warning("Attempt is over; nothing more of it is stored")
            await self.give_back()

    async def _decide(self, ending: Ending | None) -> None:
        if ending is not None and await self._finish(ending):  # perhaps just before it was told to stop
            return
        now, why = await self._insist(self._look), self._hold.stopper.why
        if now is None or now.attempt != self._run.attempt or now.status is not RunStatus.RUNNING:
            log.info("Attempt given up: the run is not ours any more")
        elif why is Stop.LOST:
            await self.give_back()
        elif now.is_rolled_back:
            await self._roll_back()
        elif now.cancel_action is not None:
            await self._finish(Ending(RunStatus.INTERRUPTED, None, INTERRUPTED, await self._head()))
        elif why is Stop.TIMEOUT:
            await self._time_out()
        else:
            await self._hand_over()

    async def give_back(self) -> None:
        """The lease has run out, and nobody has taken the run: let another one do so at once, without a charge."""
        ends_at = time.monotonic() + _GIVE_BACK_SECONDS
        if await insist(self._backend, lambda: time.monotonic() < ends_at, self._write_release):
            self._hold.is_over = True
            log.info("Run given back: its lease had run out")
            await self._backend.sql(ring_again, self._backend, self._run.run_id)

    async def read_head(self, graph: Graph) -> ThreadHead | None:
        """What the thread's newest checkpoint says; a store that is away is waited for."""
        reader = self._backend.savers.reader()
        return await self._gate.insist(lambda: read_head(graph, reader, self._run.thread_id))

    async def _head(self) -> ThreadHead | None:
        """What a stopped run leaves. A graph that cannot be read leaves its thread's values as they were."""
        try:
            async with self._open_graph() as graph:
                return await self.read_head(graph)
        except Exception:
            log.warning("State of a stopped run could not be read", exc_info=True)
            return None

    async def _time_out(self) -> None:
        limit = self._backend.rules.run_timeout_seconds
        told = {"error": "TimeoutError", "message": f"The run took longer than the {limit:g} seconds that it may take."}
        await self._writer.say("error", jsonable.dumps(told))
        await self._finish(Ending(RunStatus.TIMEOUT, told, told, await self._head()))

    async def _finish(self, ending: Ending) -> bool:
        """Write the end of the run; False when the row refuses it."""
        await self._writer.flush()
        is_paused = ending.head is not None and bool(ending.head.next)
        await self._writer.store_outcome(_outcome(ending), is_paused=is_paused)
        if self._run.takes_its_thread:
            await self._writer.leave_tombstone(tombstone(self._run, cancelled=ending.status is RunStatus.INTERRUPTED))
        finished, waiting = await self._insist(self._write_finish, ending)
        if finished:
            log.info("Run ended", extra={"status": ending.status})
            await self._leave(waiting)
            await self._backend.sql(self._backend.tally.ended, ending.status)
        return finished

    async def _roll_back(self) -> None:
        """Make it never have happened. Killed in between, the next holder does it again with the same result."""
        run, savers = self._run, self._backend.savers
        await self._gate.insist(lambda: savers.roll_back(run.thread_id, run.fence, run.run_id))
        await self._writer.store_outcome(jsonable.dumps({"__error__": ROLLED_BACK}))
        await self._writer.leave_tombstone(tombstone(run, cancelled=True))
        gone, waiting = await self._insist(self._write_rollback)
        if gone:
            log.info("Run rolled back")
            await self._leave(waiting)

    async def _hand_over(self) -> None:
        """Give the run back, with all that it said, for another worker to resume."""
        await self._writer.flush()
        if await self._insist(self._write_release):
            self._hold.is_over = True
            log.info("Run handed over")
            await self._backend.sql(ring_again, self._backend, self._run.run_id)

    async def _leave(self, waiting: UUID | None) -> None:
        """After the end: keep the log for its time, wake its readers, ring the run that has its turn now."""
        self._hold.is_over = True
        rules = self._backend.rules
        resumable = self._run.kwargs.get("resumable")
        await self._writer.expire(rules.keep_resumable_log_seconds if resumable else rules.keep_log_seconds)
        if waiting is not None:
            await self._backend.sql(ring_again, self._backend, waiting)

    async def _insist(self, act: Callable[..., T], *args: Any) -> T:
        return await insist(self._backend, lambda: self._hold.alive, act, *args)

    def _look(self) -> Run | None:
        with self._backend.db.read() as tx:
            return runs.peek(tx, self._run.run_id)

    def _write_finish(self, ending: Ending) -> tuple[bool, UUID | None]:
        """Whether the row took it, and the run of this thread that has its turn now."""
        with self._backend.db.begin() as tx:
            finished = leases.finish(
                tx,
                self._run,
                status=ending.status,
                error=ending.error,
                head=ending.head,
                thread_error=ending.thread_error,
                events_upto=self._writer.place,
                traceback=ending.traceback,
            )
            if finished:
                told = ending.error or ending.thread_error
                values = ending.head.values if ending.head is not None else None
                note_end(tx, self._run, status=ending.status, error=told, values=values)
            if finished and self._run.takes_its_thread:
                threads.discard(tx, self._run.thread_id)
            finished = finished or self._had_finished(tx, ending)
            return finished, rings.next_of_thread(tx, self._run.thread_id) if finished else None

    def _had_finished(self, tx: Tx, ending: Ending) -> bool:
        """Whether an earlier try was stored and only its answer was lost."""
        now = runs.peek(tx, self._run.run_id)
        return now is not None and now.attempt == self._run.attempt and now.status is ending.status

    def _write_rollback(self) -> tuple[bool, UUID | None]:
        """Whether the row was still ours to remove, and the run of this thread that has its turn now."""
        with self._backend.db.begin() as tx:
            gone = cancels.roll_back(tx, self._run)
            if gone:
                note_end(tx, self._run, status=RunStatus.INTERRUPTED, error=ROLLED_BACK, values=None)
            if gone and self._run.takes_its_thread:
                threads.discard(tx, self._run.thread_id)
            return gone, rings.next_of_thread(tx, self._run.thread_id) if gone else None

    def _write_release(self) -> bool:
        with self._backend.db.begin() as tx:
            return leases.release(tx, self._run, events_upto=self._writer.place)


async def insist(backend: WorkerBackend, alive: Callable[[], bool], act: Callable[..., T], *args: Any) -> T:
    """Do what needs the database, again while it is away and *alive* says so; Unavailable after that."""
    while True:
        try:
            return await backend.sql(act, *args)
        except Unavailable:
            if not alive():
                raise
        await asyncio.sleep(_RETRY_SECONDS)


def _outcome(ending: Ending) -> bytes:
    """What wait, join and webhooks answer: the values that were told last, with the questions that are open."""
    if ending.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        return jsonable.dumps({"__error__": ending.error})
    if ending.head is None:
        return b"{}"
    values = ending.head.values if ending.values is None else ending.values
    open_interrupts = [
        {"response_schema": None, **interrupt} for of_task in ending.head.interrupts.values() for interrupt in of_task
    ]
    if not isinstance(values, dict):
        return jsonable.dumps({"__interrupt__": open_interrupts} if open_interrupts else values)
    plain = {name: value for name, value in values.items() if name != "__interrupt__"}
    return jsonable.dumps(plain | ({"__interrupt__": open_interrupts} if open_interrupts else {}))
