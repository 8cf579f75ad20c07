"""Execute a run: claim it, stream its graph into the log, finish it.

1. Claim the row. Losing is normal (rung twice, cancelled, not its turn): nothing is done.
2. Hold the lease, raise the checkpoint store's fence, open the log.
3. The graph runs in a task of its own; every event goes into the log. Beside it we wait for a reason to stop.
4. Flush, store the outcome, finish the row and the thread in one transaction, wake readers, ring the next run.

Stopped instead: a cancel finishes the run as interrupted, or rolls it back: checkpoints first, then the row, so that
whoever finds the row does it again. A drain or shutdown hands the run over (row back to pending, ring). So does a
lease that has run out, if the row says that nobody else has the run by now; nothing more of it is stored.

A database that is away is waited for as long as the lease lasts.
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
from deerflow.domain.words import RunStatus
from deerflow.errors import Fenced
from deerflow.events.writer import LogWriter
from deerflow.graphs import jsonable, oversize, tracebacks
from deerflow.graphs.gate import Gate
from deerflow.graphs.registry import Access, Graph
from deerflow.graphs.start import run_config
from deerflow.graphs.stream import Drained, Performance
from deerflow.logs import bound
from deerflow.runtime.ending import Conclusion, Ending, insist
from deerflow.runtime.lease import Hold, Leases, Stop, Stopper
from deerflow.storage import leases

log = logging.getLogger(__name__)

_UNWIND_SECONDS = 10.0
"""How long a node may take to let itself be cancelled; after that the fence cuts it off."""


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
    run = await _claim(backend, run_id, task_id)
    if run is None:
        return
    hold = leases.hold(run, stopper, claimed_at=claimed_at)
    with bound(run_id=run.run_id, thread_id=run.thread_id, attempt=run.attempt):
        log.info("Run claimed", extra={"worker": backend.worker})
        try:
            await _Attempt(backend, hold).run()
        finally:
            leases.drop(hold)


async def _claim(backend: WorkerBackend, run_id: UUID, task_id: str) -> Run | None:
    """Claim the run; while the database is away the ring would be lost, so it is tried again for a lease's time."""
    lost_answer = False

    def act() -> Run | None:
        nonlocal lost_answer
        with backend.db.begin() as tx:
            if lost_answer and (mine := leases.claimed(tx, run_id, worker=backend.worker, task_id=task_id)):
                return mine
            lost_answer = True
            return leases.claim(
                tx,
                run_id,
                worker=backend.worker,
                task_id=task_id,
                lease=backend.rules.lease,
                crash_limit=backend.rules.crash_limit,
            )

    ends_at = time.monotonic() + backend.rules.lease.total_seconds()
    return await insist(backend, lambda: time.monotonic() < ends_at, act)


@dataclass(frozen=True)
class _Failure:
    """What a graph raised: as clients are told, and as administrators read it."""

    told: dict[str, str]
    traceback: str | None


class _Attempt:
    """One claimed run in this worker, from the fence to the finish."""

    def __init__(self, backend: WorkerBackend, hold: Hold) -> None:
        self._backend = backend
        self._hold = hold
        self._run = hold.run
        self._writer = LogWriter(backend.redis, hold.run.run_id, hold.run.attempt, keep_bytes=backend.rules.log_bytes)
        self._gate = Gate(self._before_store, lambda: hold.alive)
        self._store = backend.savers.store_for_run(hold.run.owner, hold.run.thread_id, hold.run.fence, self._gate)
        self._end = Conclusion(backend, hold, self._writer, lambda: self._graph("threads.read"))
        self._performance: Performance | None = None
        self._over = False

    async def run(self) -> None:
        """Play the run and bring it to its end; whatever happens, nothing of this attempt can be stored after it."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._backend.savers.let_go, self._run.thread_id, self._run.fence)
            stack.push_async_callback(self._writer.close)
            timer = self._set_timer()
            playing = asyncio.create_task(self._play(), name=f"run {self._run.run_id}")
            await self._until_stopped(playing)
            if timer is not None:
                timer.cancel()
            self._over = True
            self._gate.shut()
            await self._gate.settled()
            await self._end.conclude(self._own_ending(playing))

    def _set_timer(self) -> asyncio.TimerHandle | None:
        """Stop the run when its time is up, counted from its first start by the database's clock."""
        run, limit = self._run, self._backend.rules.run_timeout_seconds
        if not limit or run.started_at is None:
            return None
        left = limit - (run.updated_at - run.started_at).total_seconds()
        return asyncio.get_running_loop().call_later(max(left, 0), self._hold.stopper.stop, Stop.TIMEOUT)

    async def _play(self) -> Ending | None:
        """Run the graph into the log, and read what it leaves; None when there is nothing to run any more."""
        run = self._run
        await self._writer.open(known_upto=run.events_upto)
        await self._say("metadata", {"run_id": str(run.run_id), "attempt": run.attempt})  # on its way by the next line
        saver = await self._backend.savers.for_run(run.thread_id, run.fence, self._gate, run_id=run.run_id)
        if run.cancel_action is not None:  # handed over, or its worker lost, while it was being cancelled
            return None
        if self._hold.stopper.why is not None:  # clients of Redis swallow a cancel that comes while they connect
            return None
        try:
            async with self._graph("threads.create_run") as graph:
                failure = await self._stream(
                    Performance(graph, run, saver, self._store, most_steps=self._backend.rules.recursion_limit)
                )
                head = await self._end.read_head(graph)
        except (Drained, Fenced, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - neither the import nor the factory of a graph is ours
            failure, head = await self._failed(error), None
        values = self._performance.last_values if self._performance is not None else None
        if failure is None:
            return Ending(RunStatus.SUCCESS, None, None, head, values)
        return Ending(RunStatus.ERROR, failure.told, failure.told, head, values, failure.traceback)

    async def _stream(self, performance: Performance) -> _Failure | None:
        """Say all that the graph says; how it failed, or None.

        The graph runs in a task of its own, and what it raises is looked at from outside: a GeneratorExit closes the
        coroutines that wait for whoever has raised it, and one that is being closed cannot tell anybody.
        """
        self._performance = performance
        telling = asyncio.create_task(self._tell(performance))
        while not telling.done():
            try:
                await asyncio.wait({telling})
            except asyncio.CancelledError:
                telling.cancel()
        try:
            telling.result()
        except (Drained, Fenced):
            raise
        except BaseException as error:  # noqa: BLE001 - a graph may raise anything: the run's end, not ours
            return await self._failed(error)
        return None

    async def _tell(self, performance: Performance) -> None:
        async for event in performance.events():
            await self._say(event.name, event.data)

    async def _failed(self, error: BaseException) -> _Failure:
        """Say what the graph raised; a cancel that we have asked for goes on instead, and any other is the graph's."""
        if isinstance(error, asyncio.CancelledError):
            if self._hold.stopper.why is not None:
                raise error
            error = RuntimeError("The graph cancelled itself").with_traceback(error.__traceback__)
        log.info("Graph failed", exc_info=error)
        failure = _Failure(jsonable.describe_error(error), tracebacks.written(error))
        await self._say("error", failure.told)
        return failure

    def _graph(self, access: Access) -> AbstractAsyncContextManager[Graph]:
        run = self._run
        context = run.kwargs.get("context")
        return self._backend.graphs.open(run.graph_id, run_config(run), self._store, access=access, context=context)

    async def _until_stopped(self, playing: asyncio.Task[Ending | None]) -> None:
        """Wait for the graph's end, or for a reason to stop and then for it to unwind."""
        stopper = self._hold.stopper
        await _first(playing, stopper.stopped)
        if stopper.why is Stop.DRAIN and self._performance is not None:
            self._performance.drain()  # to its next checkpoint; the pool's patience ends with a shutdown
            await _first(playing, stopper.hurried)
        if not playing.done():
            await self._unwind(playing)

    async def _unwind(self, playing: asyncio.Task[Ending | None]) -> None:
        """Cancel the graph and give it a moment; a node that swallows the cancel is cut off instead."""
        if self._hold.stopper.why is Stop.LOST:
            self._gate.shut()
            self._writer.cut_off()
        playing.cancel()
        await asyncio.wait({playing}, timeout=_UNWIND_SECONDS)
        if not playing.done():
            log.warning("A node does not let itself be cancelled; it is cut off")

    def _own_ending(self, playing: asyncio.Task[Ending | None]) -> Ending | None:
        """How the graph itself ended the run; None when it did not come to that."""
        if not playing.done() or playing.cancelled() or isinstance(playing.exception(), Drained | Fenced):
            return None
        return playing.result()

    async def _say(self, name: str, data: Any) -> None:
        if self._over:  # a node that was cut off is still talking
            raise Fenced("This attempt is over")
        within = "data" if name.startswith("v2:") else None
        told = oversize.fit(jsonable.dumps(data), self._backend.rules.event_bytes, within=within)
        self._hold.said = await self._writer.say(name, told)

    async def _before_store(self) -> None:
        """Ahead of each checkpoint: what the step said is stored first, and the lease must last."""
        if self._performance is not None:
            await self._performance.caught_up()
        await self._writer.flush()
        if not self._hold.alive:
            raise Fenced("The lease has run out")
        self._hold.progressed = True


async def _first(*futures: asyncio.Future[Any]) -> None:
    """Wait until one of them is done."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _meaning(reason: asyncio.CancelledError) -> Stop:
    """What the pool's cancel means: a revoke asks to read the row, a shutdown to hand over."""
    return Stop.CANCEL if reason.args and reason.args[0] == "revoked" else Stop.SHUTDOWN
