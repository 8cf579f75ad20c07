"""Workers as processes of their own that do what a test tells them: real claims, real graphs, a real kill -9.

Only two things are not a worker's own: messages come over a pipe instead of a broker, and so do the rings that it
sends; its lease beats when it is told to. ``die_at`` makes it kill itself at one exact point: the n-th time that it
has come to a write (of rows, of a checkpoint, of its log) or to a ring.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

from deerflow.backend import WorkerBackend, open_worker
from deerflow.domain.runs import Run, task_id
from deerflow.events.writer import LogWriter
from deerflow.graphs.gate import Gate
from deerflow.runtime.execute import execute
from deerflow.runtime.lease import Leases
from deerflow.settings import Settings
from deerflow.storage.database import Database, Tx
from tests.conftest import wait_for

_numbers = count(1)
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.integration.runtime.workers", "langgraph.graph", "deerflow.graphs.savers"])

Ring = tuple[UUID, str]
"""A message: a run, and the task id of this ring."""


class _Doom:
    """Kills its process at a point that is counted."""

    def __init__(self) -> None:
        self.points = 0
        self._lock = threading.Lock()

    def point(self) -> None:
        with self._lock:
            if self.points:
                self.points -= 1
                if not self.points:
                    os.kill(os.getpid(), signal.SIGKILL)


class _PipeBell:
    """Tells the test of its rings."""

    def __init__(self, tell: Callable[..., None], doom: _Doom) -> None:
        self._tell, self._doom = tell, doom

    def ring(self, run: Run) -> bool:
        self._doom.point()
        self._tell("ring", run.run_id, task_id(run.run_id, run.rings))
        self._doom.point()
        return True


def _arm(doom: _Doom) -> None:
    """Make every write a point at which this process can die: before and after it."""
    begin = Database.begin

    @contextmanager
    def counted_begin(self: Database) -> Iterator[Tx]:
        with begin(self) as tx:
            yield tx
            doom.point()
        doom.point()

    def counted(act: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            doom.point()
            answer = await act(*args, **kwargs)
            doom.point()
            return answer

        return call

    Database.begin = counted_begin  # type: ignore[method-assign]
    Gate.insist = counted(Gate.insist)  # type: ignore[method-assign,assignment]
    for name in ("flush", "store_outcome", "leave_tombstone", "expire"):
        setattr(LogWriter, name, counted(getattr(LogWriter, name)))


def _main(settings: Settings, pipe: Connection) -> None:
    asyncio.run(_serve(settings, pipe))


async def _serve(settings: Settings, pipe: Connection) -> None:
    doom, lock = _Doom(), threading.Lock()

    def tell(*what: Any) -> None:
        with lock:
            pipe.send(what)

    async with open_worker(settings, user_code=True) as backend:
        backend.bell.close()
        object.__setattr__(backend, "bell", _PipeBell(tell, doom))
        _arm(doom)
        leases, tasks = Leases(backend, ("runs",)), {}
        tell("ready")
        while True:
            command, *args = await asyncio.to_thread(pipe.recv)
            if command == "execute":
                run_id, task, doom.points = args
                tasks[task] = asyncio.create_task(_execute(backend, leases, tell, run_id, task))
            elif command == "revoke":
                tasks[args[0]].cancel("revoked")
            elif command == "beat":
                await backend.sql(leases._renew)
                tell("beaten")
            elif command == "drain":
                leases.drain()
                tell("draining")
            else:
                await _shut_down(list(tasks.values()))
                return


async def _execute(backend: WorkerBackend, leases: Leases, tell: Callable[..., None], run_id: UUID, task: str) -> None:
    problem = ""
    try:
        await execute(backend, leases, run_id, task_id=task)
    except Exception as error:  # noqa: BLE001 - the test decides what it means
        problem = repr(error)
    tell("done", task, problem)


async def _shut_down(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


class Worker:
    """One worker process, seen from the test."""

    def __init__(self, settings: Settings, on_ring: Callable[[Ring], None]) -> None:
        self.name = f"worker-{next(_numbers)}"
        self.executing: set[str] = set()
        """The task ids under way."""
        self.problems: list[str] = []
        self.frozen = False
        self._on_ring = on_ring
        self._told: list[str] = []
        ours, theirs = _processes.Pipe()
        self._pipe = ours
        own = settings.model_copy(update={"worker_name": self.name})
        self._process = _processes.Process(target=_main, args=(own, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._until_told("ready")

    @property
    def alive(self) -> bool:
        """Whether it has not died; all that it said has been heard when it has."""
        return self._listener.is_alive()

    def execute(self, ring: Ring, *, die_at: int = 0) -> None:
        """Deliver a ring. *die_at*: the point at which it dies of it; 0 is never."""
        run_id, task = ring
        self.executing.add(task)
        with suppress(OSError):  # it is dying already
            self._pipe.send(("execute", run_id, task, die_at))

    def revoke(self, task: str) -> None:
        """Cancel a task, as a revoke that arrives."""
        self._pipe.send(("revoke", task))

    def beat(self) -> None:
        """Renew the leases once, and hear of marks."""
        self._ask("beat", "beaten")

    def drain(self) -> None:
        """Ask every run to reach a checkpoint and let go."""
        self._ask("drain", "draining")

    def shut_down(self) -> None:
        """The pool's patience is over: what still runs is handed over, then the process ends."""
        self._pipe.send(("shut down",))
        self._end()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._end()

    def freeze(self) -> None:
        """Stop it in the middle of everything."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Let it go on as if no time had passed."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGCONT)
        self.frozen = False

    def _end(self) -> None:
        self._process.join(20)
        self._listener.join(20)
        assert not self._listener.is_alive()

    def _ask(self, command: str, answer: str) -> None:
        self._pipe.send((command,))
        self._until_told(answer)

    def _until_told(self, answer: str) -> None:
        wait_for(lambda: answer in self._told or not self.alive, what=f"{self.name}: {answer}")
        assert answer in self._told, f"{self.name} died"
        self._told.remove(answer)

    def _listen(self) -> None:
        with suppress(EOFError, OSError), self._pipe:
            while True:
                kind, *facts = self._pipe.recv()
                if kind == "ring":
                    self._on_ring((facts[0], facts[1]))
                elif kind == "done":
                    if facts[1]:
                        self.problems.append(facts[1])
                    self.executing.discard(facts[0])
                else:
                    self._told.append(kind)
