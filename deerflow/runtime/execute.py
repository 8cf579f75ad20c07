"""Execute a run: claim it, stream its graph into the log, finish it.

1. Claim the row. Losing is normal (rung twice, cancelled, not its turn): nothing is done.
2. Hold the lease, raise the checkpoint store's fence, open the log.
3. The graph runs in a task of its own; every event goes into the log. Beside it we wait for a reason to stop.
4. Flush, store the outcome, finish the row and the thread in one transaction, wake readers, ring the next run.

Stopped instead: a cancel finishes the run as interrupted; a drain or shutdown hands it over (row back to pending,
ring); a lost lease touches nothing, because another worker may have the run by now.
"""

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import RunStatus
from deerflow.errors import Fenced
from deerflow.events.log import LogWriter
from deerflow.graphs import jsonable, oversize
from deerflow.graphs.registry import Access, Graph
from deerflow.graphs.savers import Gate
from deerflow.graphs.start import run_config
from deerflow.graphs.stream import Drained, Performance, read_head
from deerflow.logs import bound
from deerflow.runtime.lease import Hold, Leases, Stop, Stopper
from deerflow.runtime.ring import ring_again
from deerflow.storage import runs, threads

log = logging.getLogger(__name__)

_UNWIND_SECONDS = 10.0
"""How long a node may take to let itself be cancelled; after that the fence cuts it off."""


@dataclass(frozen=True)
class _Ending:
    """How a run ends: what its row, its thread and whoever waits for it are told."""

    status: RunStatus
    error: dict[str, str] | None = None
    thread_error: dict[str, str] | None = None
    head: ThreadHead | None = None
    values: Any = None


async def execute(backend: WorkerBackend, leases: Leases, run_id: UUID, *, task_id: str) -> None:
    """Execute one ring of a run to its end, or hand it over.

    A cancel of this task (revoke, shutdown) is only a reason to stop: the work itself is never cut off in the
    middle of a claim or a finish.
    """
    stopper = Stopper()
    work = asyncio.create_task(_work(backend, leases, run_id, task_id, stopper))
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as reason:
            stopper.stop(_meaning(reason))
    work.result()


async def _work(backend: WorkerBackend, leases: Leases, run_id: UUID, task_id: str, stopper: Stopper) -> None:
    claimed_at = time.monotonic()
    run = await backend.sql(_claim, backend, run_id, task_id)
    if run is None:
        return
    hold = leases.hold(run, stopper, claimed_at=claimed_at)
    with bound(run_id=run.run_id, thread_id=run.thread_id, attempt=run.attempt):
        log.info("Run claimed", extra={"worker": backend.worker})
        try:
            await _Attempt(backend, hold).run()
        finally:
            leases.drop(hold)


def _claim(backend: WorkerBackend, run_id: UUID, task_id: str) -> Run | None:
    with backend.db.begin() as tx:
        return runs.claim(
            tx,
            run_id,
            worker=backend.worker,
            task_id=task_id,
            lease=backend.rules.lease,
            crash_limit=backend.rules.crash_limit,
        )


class _Attempt:
    """One claimed run in this worker, from the fence to the finish."""

    def __init__(self, backend: WorkerBackend, hold: Hold) -> None:
        self._backend = backend
        self._hold = hold
        self._run = hold.run
        self._writer = LogWriter(backend.redis, hold.run.run_id, hold.run.attempt, keep_bytes=backend.rules.log_bytes)
        self._gate = Gate(self._before_store)
        self._store = backend.savers.store(hold.run.owner)
        self._performance: Performance | None = None
        self._over = False

    async def run(self) -> None:
        """Play the run and bring it to its end; whatever happens, nothing of this attempt can be stored after it."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._backend.savers.let_go, self._run.thread_id, self._run.fence)
            stack.push_async_callback(self._writer.close)
            playing = asyncio.create_task(self._play(), name=f"run {self._run.run_id}")
            await self._until_stopped(playing)
            self._over = True
            self._gate.shut()
            try:
                await self._conclude(playing)
            except Fenced:
                log.warning("Attempt is over; nothing of it is stored")

    async def _play(self) -> _Ending:
        """Run the graph into the log, and read what it leaves."""
        run = self._run
        await self._writer.open(known_upto=run.events_upto)
        await self._say("metadata", {"run_id": str(run.run_id), "attempt": run.attempt})  # on its way by the next line
        saver = await self._backend.savers.for_run(run.thread_id, run.fence, self._gate)
        if run.cancel_action is not None:  # handed over, or its worker lost, while it was being cancelled
            return await self._cancelled()
        try:
            async with self._graph("threads.create_run") as graph:
                failure = await self._stream(Performance(graph, run, saver, self._store))
                head = await read_head(graph, self._backend.savers.reader(), run.thread_id)
        except (Drained, Fenced):
            raise
        except Exception as error:  # noqa: BLE001 - neither the import nor the factory of a graph is ours
            failure, head = await self._failed(error), None
        told = self._performance.last_values if self._performance is not None else None
        return _Ending(RunStatus.ERROR if failure else RunStatus.SUCCESS, failure, failure, head, told)

    async def _stream(self, performance: Performance) -> dict[str, str] | None:
        """Say all that the graph says; how it failed, or None."""
        self._performance = performance
        try:
            async for event in performance.events():
                await self._say(event.name, event.data)
        except (Drained, Fenced):
            raise
        except asyncio.CancelledError:
            if self._hold.stopper.why is not None:
                raise
            return await self._failed(RuntimeError("The graph cancelled itself"))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a graph may raise anything: the run's end, not ours
            return await self._failed(error)
        return None

    async def _failed(self, error: BaseException) -> dict[str, str]:
        log.info("Graph failed", exc_info=error)
        told = jsonable.describe_error(error)
        await self._say("error", told)
        return told

    async def _cancelled(self) -> _Ending:
        """The ending of a cancelled run. A graph that cannot be read leaves its thread's values as they were."""
        told = {"error": "UserInterrupt", "message": "The run was interrupted by a cancel request."}
        try:
            async with self._graph("threads.read") as graph:
                head = await read_head(graph, self._backend.savers.reader(), self._run.thread_id)
        except Exception:
            log.warning("State of a cancelled run could not be read", exc_info=True)
            head = None
        return _Ending(RunStatus.INTERRUPTED, None, told, head)

    def _graph(self, access: Access) -> AbstractAsyncContextManager[Graph]:
        run = self._run
        context = run.kwargs.get("context")
        return self._backend.graphs.open(run.graph_id, run_config(run), self._store, access=access, context=context)

    async def _until_stopped(self, playing: asyncio.Task[_Ending]) -> None:
        """Wait for the graph's end, or for a reason to stop and then for it to unwind."""
        stopper = self._hold.stopper
        await _first(playing, stopper.stopped)
        if stopper.why is Stop.DRAIN and self._performance is not None:
            self._performance.drain()  # to its next checkpoint; the pool's patience ends with a shutdown
            await _first(playing, stopper.hurried)
        if not playing.done():
            await self._unwind(playing)

    async def _unwind(self, playing: asyncio.Task[_Ending]) -> None:
        """Cancel the graph and give it a moment; a node that swallows the cancel is cut off instead."""
        if self._hold.stopper.why is Stop.LOST:
            self._gate.shut()
            self._writer.cut_off()
        playing.cancel()
        await asyncio.wait({playing}, timeout=_UNWIND_SECONDS)
        if not playing.done():
            log.warning("A node does not let itself be cancelled; it is cut off")

    async def _conclude(self, playing: asyncio.Task[_Ending]) -> None:
        """Decide how the attempt ends, and write it down. What the row says counts, not who told us to stop."""
        reached_its_end = playing.done() and not playing.cancelled() and not isinstance(playing.exception(), Drained)
        if reached_its_end and await self._finish(playing.result()):  # perhaps just before it was told to stop
            return
        now = await self._backend.sql(self._look)
        if now is None or now.attempt != self._run.attempt or self._hold.stopper.why is Stop.LOST:
            log.info("Attempt given up: the run is not ours any more")
        elif now.cancel_action is not None:
            await self._finish(await self._cancelled())
        else:
            await self._hand_over()

    async def _finish(self, ending: _Ending) -> bool:
        """Write the end of the run; False when the row refuses it."""
        await self._writer.flush()
        await self._writer.store_outcome(_outcome(ending))
        if self._run.takes_its_thread:
            await self._writer.leave_tombstone(self._run.thread_id, self._run.owner)
        finished, waiting = await self._backend.sql(self._write_finish, ending)
        if not finished:
            return False
        log.info("Run ended", extra={"status": ending.status})
        rules = self._backend.rules
        resumable = self._run.kwargs.get("resumable")
        await self._writer.expire(rules.keep_resumable_log_seconds if resumable else rules.keep_log_seconds)
        if waiting is not None:
            await self._backend.sql(ring_again, self._backend, waiting)
        return True

    async def _hand_over(self) -> None:
        """Give the run back, with all that it said, for another worker to resume."""
        await self._writer.flush()
        if await self._backend.sql(self._write_release):
            log.info("Run handed over")
            await self._backend.sql(ring_again, self._backend, self._run.run_id)

    async def _say(self, name: str, data: Any) -> None:
        if self._over:  # a node that was cut off is still talking
            raise Fenced("This attempt is over")
        told = oversize.fit(jsonable.dumps(data), self._backend.rules.event_bytes)
        self._hold.said = await self._writer.say(name, told)

    async def _before_store(self) -> None:
        """Ahead of each checkpoint: what the step said is stored first, and the lease must last."""
        if self._performance is not None:
            await self._performance.caught_up()
        await self._writer.flush()
        if not self._hold.alive:
            raise Fenced("The lease has run out")
        self._hold.progressed = True

    def _look(self) -> Run | None:
        with self._backend.db.read() as tx:
            return runs.peek(tx, self._run.run_id)

    def _write_finish(self, ending: _Ending) -> tuple[bool, UUID | None]:
        """Whether the row took it, and the run of this thread that has its turn now."""
        with self._backend.db.begin() as tx:
            finished = runs.finish(
                tx,
                self._run,
                status=ending.status,
                error=ending.error,
                head=ending.head,
                thread_error=ending.thread_error,
                events_upto=self._writer.place,
            )
            if finished and self._run.takes_its_thread:
                threads.discard(tx, self._run.thread_id)
            return finished, runs.next_of_thread(tx, self._run.thread_id) if finished else None

    def _write_release(self) -> bool:
        with self._backend.db.begin() as tx:
            return runs.release(tx, self._run, events_upto=self._writer.place)


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _meaning(reason: asyncio.CancelledError) -> Stop:
    """What the pool's cancel means: a revoke asks to read the row, a shutdown to hand over."""
    return Stop.CANCEL if reason.args and reason.args[0] == "revoked" else Stop.SHUTDOWN


def _outcome(ending: _Ending) -> bytes:
    """What wait, join and webhooks answer: the values that were told last, with the questions that are open."""
    if ending.status is RunStatus.ERROR:
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
