"""AsyncioPool, Celery's custom pool: Celery's tracer in a greenlet, the task's body on one asyncio loop.

Written against celery 5.7 and kombu 5.7; both are pinned, because BasePool.on_apply's keywords and the weak
reference Request keeps of what it returns are no public interface.

    main thread    Celery's consumer: takes messages, runs every Celery callback (ack, events), never a task
    asyncio        the loop: the `async def` bodies of all tasks; in greenlets beside them Celery's tracers
    user-N         the loop's default executor: sync graph nodes, sync tasks; the pool itself never needs one
    loop-watch     says in the log when a coroutine blocks the loop

Use, in celeryconfig and where the app is made:

    worker_pool = "deerflow.dispatch.pool:AsyncioPool"
    app = Celery("tasks", task_cls="deerflow.dispatch.pool:AsyncTask")      # or @app.task(base=AsyncTask)

Keys of app.conf, all optional:

    deerflow_pool_lifespan   "module:function" or the function: called with the pool, returns an async context
                             manager. Entered on the loop before the first message is taken, left on it after
                             the last task ended. What it yields is `pool.resources`, in a task bound to self
                             `self.resources`. If it raises or ends early (a task group it holds breaks), the
                             worker logs why, stops and exits with 1.
    deerflow_drain_seconds   how long a warm stop waits for tasks to end by themselves (20)
    deerflow_user_threads    size of the loop's default executor (64)

`pool.loop` is the loop; `pool.draining` an asyncio.Event, set on the loop once the worker is told to stop.
From then on no task starts; a message whose task has not started goes back to its queue. What still runs
after the drain is cancelled. (Celery's signal worker_shutting_down would not do: it comes on the main thread
inside a signal handler, for SIGQUIT only after the pool was stopped, for `celery control shutdown` never.)

A body learns why it is cancelled from `CancelledError.args[0]`: REVOKED, SHUTDOWN, SOFT_TIME_LIMIT or
HARD_TIME_LIMIT. It is cancelled once, so that its clean-up is not cut short; only the soft time limit may be
followed by one of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import os
import queue
import select
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo
from celery import Task, signals
from celery.backends.base import DisabledBackend
from celery.concurrency.base import BasePool
from celery.exceptions import ImproperlyConfigured, SoftTimeLimitExceeded, Terminated
from celery.platforms import EX_FAILURE, EX_OK
from celery.worker import state
from celery.worker.request import Request
from greenlet import getcurrent, greenlet
from kombu.utils.imports import symbol_by_name

from deerflow.dispatch.user_threads import DaemonThreads
from deerflow.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

log = logging.getLogger(__name__)

REVOKED = "revoked"
SHUTDOWN = "shutdown"
SOFT_TIME_LIMIT = "soft time limit"
HARD_TIME_LIMIT = "hard time limit"
_GIVEN_BACK = "given back"  # had not started when draining began; its message is not acknowledged

# With the drain's 20 s these stay within the 30 s after which Heroku kills.
CANCEL_SECONDS = 5.0  # for cancelled tasks to clean up
CLOSE_SECONDS = 2.0  # for leaving the lifespan
EXIT_SECONDS = 3.0  # for the interpreter to end once the pool is closed
LAG_SECONDS = 1.0  # a loop silent for longer is worth a warning
NAMES_IN_LOG = 20

_request: ContextVar[Any] = ContextVar("celery_request", default=None)


class _Bridge(greenlet):  # type: ignore[misc]
    """The greenlet in which Celery's tracer runs while the task's body is awaited outside of it."""


class AsyncRequest(Request):  # type: ignore[misc]
    """Celery's Request, where a cold stop is told apart from a revoke."""

    def cancel(self, pool: AsyncioPool, signal: Any = None, **_: Any) -> None:
        """Cancel the running task because the worker stops (only a cold stop calls this, as we ack early).

        No retry is announced, whatever emit_retry says: Celery retries nothing here.
        """
        job = self._apply_result() if self._apply_result is not None else None
        if job is not None:
            job.cancel_soon(SHUTDOWN)
        super().cancel(pool, signal, emit_retry=False)


class AsyncTask(Task):  # type: ignore[misc]
    """A Celery task whose `run` may be `async def`; a plain function runs on a user thread."""

    abstract = True
    Request = AsyncRequest  # the class, not its name: the name might be a project's by the time it is looked up

    @property
    def request(self) -> Any:
        """The request this body serves; Celery's stack is kept per greenlet, so on the loop it is empty."""
        return _request.get() or self._get_request()

    @property
    def resources(self) -> Any:
        """What the pool's lifespan yielded."""
        return self.app.deerflow_pool.resources

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body: on the pool's loop when the pool's tracer calls, else (eager mode) on its own."""
        body = self.run(*args, **kwargs)
        if not inspect.isawaitable(body):
            return body
        bridge = getcurrent()
        if isinstance(bridge, _Bridge):
            _request.set(self._get_request())  # seen by the body too: the bridge shares the job's context
            return bridge.parent.switch(body)
        return _run_here(body)


def _run_here(body: Awaitable[Any]) -> Any:
    """Run *body* to its end, or hand it to the caller to await when this thread already runs a loop."""

    async def wait() -> Any:
        return await body

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return body


@dataclass(eq=False)  # Celery keeps a weak reference to it: each job is only itself
class _Job:
    """One task in the pool, from Celery's hand-over to the callback that says how it ended."""

    pool: AsyncioPool
    number: int
    name: str
    call: partial[Any]
    accept_callback: Callable[..., None] | None
    timeout_callback: Callable[..., None] | None
    callback: Callable[..., None] | None
    error_callback: Callable[..., None] | None
    soft_seconds: float | None
    hard_seconds: float | None
    accepted: bool = False
    reason: str | None = None
    handle: asyncio.Task[None] | None = None
    begun: bool = False

    def __str__(self) -> str:
        return self.name

    def terminate(self, signal: Any = None) -> None:  # noqa: ARG002 - Celery's signature
        """Cancel the task because it was revoked (Celery's word for it, any thread)."""
        self.cancel_soon(REVOKED)

    def cancel_soon(self, reason: str) -> None:
        """Cancel from any thread."""
        self.pool.on_loop(self.cancel, reason)

    def cancel(self, reason: str) -> None:
        """Cancel on the loop's thread, once: a second one would cut off the clean-up of the first."""
        if self.reason not in {None, SOFT_TIME_LIMIT}:
            return
        self.reason = reason
        # Of a task cancelled before its first step asyncio runs nothing, no finally either: run() looks.
        if self.handle is not None and self.begun:
            self.handle.cancel(reason)

    def start(self) -> None:
        """Begin, on the loop's thread."""
        if self.pool.draining.is_set():
            self.cancel(_GIVEN_BACK)
        self.handle = self.pool.loop.create_task(self.run(), name=self.name)

    async def run(self) -> None:
        """Wait for a slot, trace the task, tell Celery how it ended."""
        self.begun = True
        try:
            if self.reason is not None:
                raise asyncio.CancelledError(self.reason)  # noqa: TRY301 - one place tells Celery
            async with self.pool.slots:
                self._accept()
                with self._time_limits():
                    outcome = await self._trace()
        except asyncio.CancelledError:
            self._report_cancelled()
        except BaseException as error:  # noqa: BLE001 - a door: Celery must hear of the end, and it logs
            self.pool.post(self.error_callback, ExceptionInfo((type(error), error, error.__traceback__)))
        else:
            self.pool.post(self.callback, outcome)
        finally:
            self.pool.jobs.pop(self.number, None)  # after the post: an idle pool has posted everything

    def _accept(self) -> None:
        self.accepted = True
        self.pool.post(self.accept_callback, self.number, time.monotonic())

    def _report_cancelled(self) -> None:
        """Tell Celery what the cancel meant."""
        if self.reason == _GIVEN_BACK:
            return
        if self.reason == HARD_TIME_LIMIT:
            self.pool.post(self.timeout_callback, False, self.hard_seconds)
            return
        if not self.accepted:
            self._accept()  # revoked while it waited for a slot: Celery acks and announces it on the accept
        self.pool.post(self.error_callback, _terminated(self.reason))

    @contextlib.contextmanager
    def _time_limits(self) -> Iterator[None]:
        """Cancel the task when its time is up."""
        later = self.pool.loop.call_later
        timers = []
        if self.soft_seconds:
            timers.append(later(self.soft_seconds, self._soft_time_limit))
        if self.hard_seconds:
            timers.append(later(self.hard_seconds, self.cancel, HARD_TIME_LIMIT))
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def _soft_time_limit(self) -> None:
        self.pool.post(self.timeout_callback, True, self.soft_seconds)
        self.cancel(SOFT_TIME_LIMIT)

    async def _trace(self) -> Any:
        """Run Celery's tracer; its answer is (failed, value or error, seconds)."""
        task = self.pool.app.tasks[self.call.args[0]]
        if isinstance(task, AsyncTask) and inspect.iscoroutinefunction(inspect.unwrap(task.run)):
            return await self._trace_in_greenlet()
        return await self.pool.loop.run_in_executor(None, self.call)

    async def _trace_in_greenlet(self) -> Any:
        """Run the tracer in a greenlet that hops out here to have the task's body awaited."""
        bridge = _Bridge(self.call)
        # A new greenlet has an empty context; with ours, what a task_prerun handler sets is seen by the body.
        bridge.gr_context = getcurrent().gr_context
        step = bridge.switch()
        while not bridge.dead:
            try:
                value = await step
            except BaseException as error:  # noqa: BLE001 - goes on in the greenlet, to Celery's tracer
                told = self._as_celery_knows(error)
                step = bridge.throw(type(told), told, told.__traceback__)
            else:
                step = bridge.switch(value)
        return step

    def _as_celery_knows(self, error: BaseException) -> BaseException:
        """The error the tracer should see for what the body raised."""
        told = error
        if isinstance(error, asyncio.CancelledError) and self.reason == SOFT_TIME_LIMIT:
            told = SoftTimeLimitExceeded(self.soft_seconds)
        elif isinstance(error, SystemExit | KeyboardInterrupt):
            # Celery would end the worker for it, and with it the other tasks.
            told = RuntimeError(f"the task tried to end the process: {error!r}")
            told.__cause__ = error
        return told


class AsyncioPool(BasePool):  # type: ignore[misc]
    """Runs tasks on one asyncio loop in one thread, at most `-c` at a time."""

    signal_safe = False  # stopping waits for tasks

    loop: asyncio.AbstractEventLoop
    resources: Any = None  # what the lifespan yielded

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.jobs: dict[int, _Job] = {}
        self.draining = asyncio.Event()
        self.slots = asyncio.Semaphore(self.limit)
        self._numbers = itertools.count(1)
        # SimpleQueue: a signal handler may stop the pool while the main thread is inside a call of it.
        self._callbacks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._hub: Any = None
        self._consumer: Any = None
        self._ending = asyncio.Event()
        self._stop_opening: Callable[[], object] = _nothing
        self._closed = False
        self._loop_ended = False

    # Celery's side: the main thread

    def on_start(self) -> None:
        """Start the loop and enter the lifespan; the worker takes no message before this returns."""
        if self.options.get("threads"):
            raise ImproperlyConfigured("AsyncioPool needs a broker with an event loop: use Redis")
        if isinstance(self.app.backend, DisabledBackend):
            logging.getLogger("celery.worker.control").addFilter(_is_not_backend_noise)
        self.app.deerflow_pool = self
        signals.worker_ready.connect(self._on_ready)
        self.loop = asyncio.new_event_loop()
        self._user_threads = DaemonThreads(int(self._conf("deerflow_user_threads", 64)), "user")
        self.loop.set_default_executor(self._user_threads)
        self._thread = threading.Thread(target=self._run_loop, name="asyncio", daemon=True)
        self._thread.start()
        self._open()
        threading.Thread(target=self._watch_loop, name="loop-watch", daemon=True).start()

    def register_with_event_loop(self, hub: Any) -> None:
        """Remember the consumer's event loop (Celery calls this on each connect)."""
        self._hub = hub

    def _on_ready(self, sender: Any, **_: Any) -> None:
        """Remember the consumer, whose messages a stop gives back."""
        self._consumer = sender

    def on_apply(
        self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], **options: Any
    ) -> _Job:
        """Take a task from Celery; *args* begin with its name and id."""
        job = _Job(
            pool=self,
            number=next(self._numbers),
            name=f"{args[0]}[{args[1]}]",
            call=partial(target, *args, **kwargs),
            accept_callback=options.get("accept_callback"),
            timeout_callback=options.get("timeout_callback"),
            callback=options.get("callback"),
            error_callback=options.get("error_callback"),
            soft_seconds=options.get("soft_timeout"),
            hard_seconds=options.get("timeout"),
        )
        self.jobs[job.number] = job  # Celery keeps only a weak reference
        self.on_loop(job.start)
        return job

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """Cancel the task that was accepted under the number *pid*."""
        if job := self.jobs.get(pid):
            job.terminate(signal)

    def on_stop(self) -> None:
        """Stop warm: let tasks end by themselves for the drain's time, cancel the rest, close."""
        self.on_loop(self._begin_drain)
        if not state.should_terminate:  # Celery's handler of SIGQUIT calls stop, too
            self._wait_idle(float(self._conf("deerflow_drain_seconds", 20)), give_back=True)
        self.on_terminate()

    def on_terminate(self) -> None:
        """Stop cold: cancel all tasks, give them a moment to clean up, close.

        May come twice, and from a signal handler while on_stop waits.
        """
        if self._closed:
            return
        self.on_loop(self._begin_drain)
        if self.jobs:
            log.warning("Cancelling tasks because the worker stops: %s", self._names())
        self.on_loop(self._cancel_all)
        self._wait_idle(CANCEL_SECONDS)
        if self.jobs:
            log.error("Leaving tasks behind that ignore their cancel: %s", self._names())
        self._close(int(state.should_stop or EX_OK))

    def _get_info(self) -> dict[str, Any]:
        accepted = [job.accepted for job in list(self.jobs.values())]
        return {**super()._get_info(), "running": sum(accepted), "waiting": len(accepted) - sum(accepted)}

    # between the threads

    def on_loop(self, call: Callable[..., object], *args: Any) -> None:
        """Have *call* made on the loop's thread; nothing happens once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(partial(call, *args))

    def post(self, callback: Callable[..., object] | None, *args: Any) -> None:
        """Have Celery's *callback* called on the main thread, in the order of the posts.

        The hub's own ready list is a set: a task's end could overtake its start there.
        """
        if callback is not None:
            self._callbacks.put(partial(callback, *args))
            self._wake_main_thread()

    def _wake_main_thread(self) -> None:
        if self._hub is not None:
            self._hub.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Run the callbacks, and at once what they leave to the hub: acknowledgements. Not in a signal handler.

        The hub would come to them after its next poll only, up to a second later. Until then a broker that goes away
        takes the worker with it, and a drain would give back what has begun.
        """
        self._run_callbacks()
        for acknowledge in self._hub._pop_ready() if self._hub is not None else ():
            acknowledge()

    def _run_callbacks(self) -> None:
        while self._run_callback():
            pass

    def _run_callback(self, patience: float = 0.0) -> bool:
        """Run the oldest callback, waiting up to *patience* seconds for one; False if there was none."""
        try:
            callback = self._callbacks.get(block=patience > 0, timeout=patience or None)
        except queue.Empty:
            return False
        try:
            callback()
        except Exception:
            log.exception("A callback of Celery failed")
        return True

    def _wait_idle(self, seconds: float, *, give_back: bool = False) -> None:
        """Wait until no task is left, running Celery's callbacks meanwhile: the hub no longer turns.

        *give_back*: not in a signal handler, which may have interrupted the very reading of the broker's answers.
        """
        deadline = time.monotonic() + seconds
        while self.jobs and not self._closed and time.monotonic() < deadline:
            self._run_callback(patience=0.05)
            if give_back and self._consumer is not None and not self._give_back(self._consumer):
                self._consumer = None
                log.info("The worker stops when these tasks have ended: %s", self._names())
        self._run_callbacks()

    def _give_back(self, consumer: Any) -> bool:
        """Return to the queue what this worker has taken and will not start: others need not wait for our drain.

        That are messages whose task had not begun, and the one that the consumer had asked for (Redis answers such a
        BRPOP within a second) before it was told to stop; its answer nobody reads until the connection is closed.
        False: nothing more can come, or it cannot be done.
        """
        channel = getattr(consumer.task_consumer, "channel", None)
        if channel is None:
            return False
        if not self.draining.is_set():
            return True
        try:
            self._take_turn()
            if channel._in_poll and select.select([channel._in_poll._sock], [], [], 0)[0]:
                with contextlib.suppress(queue.Empty):  # the second was over
                    channel._brpop_read()
            if channel.qos._delivered:
                channel.qos.restore_unacked()  # of what is acknowledged there is nothing left to restore
        except Exception as error:  # noqa: BLE001 - whatever the broker says: closing the connection gives back too
            log.warning("Messages go back to their queue when the worker has ended", extra={"reason": repr(error)})
            return False
        return bool(channel._in_poll or not all(job.accepted for job in list(self.jobs.values())))

    def _names(self) -> str:
        """The tasks in the pool, for a log line."""
        names = [str(job) for job in list(self.jobs.values())]
        more = len(names) - NAMES_IN_LOG
        return ", ".join(names[:NAMES_IN_LOG]) + (f" and {more} more" if more > 0 else "")

    def _conf(self, key: str, default: object) -> Any:
        return self.app.conf.get(key, default)

    # opening and closing

    def _open(self) -> None:
        """Wait until the lifespan is entered; end the process when that fails."""
        opened: Future[None] = Future()
        self._life = asyncio.run_coroutine_threadsafe(self._live(opened), self.loop)
        signals.worker_shutting_down.connect(self._on_shutting_down)
        try:
            opened.result()
        except asyncio.CancelledError:  # told to stop before it was open
            self._close(EX_OK)
            raise SystemExit(EX_OK) from None
        except ConfigError as error:  # its sentence says all that is to be mended
            log.critical("The worker cannot start: %s", error)
            self._close(EX_FAILURE)
            raise SystemExit(EX_FAILURE) from error
        except BaseException as error:
            log.critical("The worker cannot start: opening its resources failed: %r", error, exc_info=True)
            self._close(EX_FAILURE)
            raise SystemExit(EX_FAILURE) from error

    def _on_shutting_down(self, **_: Any) -> None:
        """Begin to drain at once (in a signal handler): the consumer may need a while until it calls stop."""
        self.on_loop(self._begin_drain)

    async def _live(self, opened: Future[None]) -> None:
        """Hold the lifespan open; entered and left in one asyncio task, as cancel scopes demand."""
        entering = asyncio.current_task()
        assert entering is not None
        self._stop_opening = entering.cancel
        try:
            async with self._lifespan() as self.resources:
                self._stop_opening = _nothing
                opened.set_result(None)
                await self._ending.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
                return
            if not self._closed:
                self._give_up(error)
            raise
        await self._cancel_leftovers()

    def _give_up(self, error: BaseException) -> None:
        """Stop the worker, because what its tasks stand on has broken."""
        log.critical("The worker stops: its resources broke: %r", error, exc_info=error)
        state.should_stop = EX_FAILURE  # what Celery's own signal handlers set; its consumer looks at each turn
        self._begin_drain()

    async def _cancel_leftovers(self) -> None:
        """Let the asyncio tasks that user code left running clean up."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel(SHUTDOWN)
        if others:
            await asyncio.wait(others, timeout=CLOSE_SECONDS / 2)

    def _lifespan(self) -> contextlib.AbstractAsyncContextManager[Any]:
        source = self._conf("deerflow_pool_lifespan", None)
        if source is None:
            return contextlib.nullcontext()
        open_resources = symbol_by_name(source)  # type: ignore[no-untyped-call]
        manager: contextlib.AbstractAsyncContextManager[Any] = open_resources(self)
        return manager

    def _close(self, exit_code: int) -> None:
        """Leave the lifespan and stop the loop; see to it that the process can end."""
        self._closed = True
        self.on_loop(self._ending.set)
        try:
            self._life.result(timeout=CLOSE_SECONDS)
        except TimeoutError:
            log.error("Closing the worker's resources took too long")  # noqa: TRY400 - no stack to show
        except Exception:
            log.exception("Closing the worker's resources failed")
        self._user_threads.shutdown(wait=False, cancel_futures=True)
        self.on_loop(self._end_loop)
        self._thread.join(timeout=1)
        if threading.current_thread() is threading.main_thread():
            # Elsewhere the worker is embedded (a test's), and the process is not ours to end.
            threading.Thread(target=_end_process, args=(exit_code,), name="exit-watch", daemon=True).start()

    # the loop's thread

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._loop_ended:
            try:
                self.loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # asyncio lets these stop its loop; exit() in one user's node must not end the others' runs.
                log.exception("A task tried to end the process")
        self.loop.close()

    def _end_loop(self) -> None:
        self._loop_ended = True
        self.loop.stop()

    def _begin_drain(self) -> None:
        """Tell the tasks, give back what has not started, and let the main thread see its stop flag now."""
        if self.draining.is_set():
            return
        self.draining.set()
        self._stop_opening()
        for job in list(self.jobs.values()):
            if not job.accepted:
                job.cancel(_GIVEN_BACK)
        self._wake_main_thread()  # Python resumes an interrupted poll: the stop would wait for its end

    def _cancel_all(self) -> None:
        for job in list(self.jobs.values()):
            job.cancel(SHUTDOWN)

    # the watch thread

    def _watch_loop(self) -> None:
        """Warn when the loop does not answer: something blocks it, and with it every task of this process."""
        while not self._closed:
            answered = threading.Event()
            self.on_loop(answered.set)
            if not answered.wait(LAG_SECONDS) and not self._closed:
                self._warn_blocked()
                answered.wait()  # one warning each time
            time.sleep(LAG_SECONDS / 2)

    def _warn_blocked(self) -> None:
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = "".join(traceback.format_stack(frame, limit=6)) if frame else ""
        log.warning("The event loop is blocked; running: %s; at:\n%s", self._names(), stack)


def _nothing() -> None:
    """Do nothing."""


def _terminated(reason: str | None) -> ExceptionInfo:
    """Celery's way to say that a task was cancelled."""
    try:
        raise Terminated(reason or "cancelled")  # noqa: TRY301 - ExceptionInfo wants a traceback
    except Terminated:
        return ExceptionInfo()


def _is_not_backend_noise(record: logging.LogRecord) -> bool:
    """Drop Celery's warning, at each revoke, that there is no result backend: there is none on purpose."""
    return not str(record.msg).startswith("Failed to mark task %s as revoked in backend")


def _end_process(exit_code: int) -> None:
    """End the process if it has not ended by itself in time.

    Python joins every thread that is no daemon, and user code makes such threads (LangChain's sync batch
    does). Our work is done and stored by now, so nothing is lost by not waiting for them.
    """
    time.sleep(EXIT_SECONDS)
    threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
    log.warning("Exiting without waiting for threads that still run: %s", ", ".join(threads))
    os._exit(exit_code)
