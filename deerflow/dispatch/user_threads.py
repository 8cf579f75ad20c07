"""DaemonThreads: the threads on which users' sync nodes run, and for which no stopping worker waits."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """A thread pool that the process does not wait for when it exits.

    The standard one joins its threads at exit: a user's node that sleeps for an hour would keep a stopped
    worker for an hour. A subclass only because asyncio takes no other default executor; it shares no code.
    """

    def __init__(self, limit: int, name: str) -> None:
        super().__init__(limit)
        self._limit, self._name = limit, name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._started: list[threading.Thread] = []
        self._unfinished = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run *fn* on a thread, a new one if all are taken and the limit allows."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._calls.put((future, partial(fn, *args, **kwargs)))
            self._unfinished += 1
            if len(self._started) < min(self._unfinished, self._limit):
                self._start_thread()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take no more calls; waiting ones are dropped with *cancel_futures*."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._drop_waiting()
            for _ in self._started:
                self._calls.put(None)
        if wait:
            for thread in self._started:
                thread.join()

    def _drop_waiting(self) -> None:
        with contextlib.suppress(queue.Empty):
            while call := self._calls.get_nowait():
                call[0].cancel()

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._started)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started.append(thread)
        thread.start()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _fulfil(*call)
            del call  # keeps the user's objects alive while the thread idles
            with self._lock:
                self._unfinished -= 1


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    """Run *call* and put what became of it into *future*."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - belongs to who waits for the future
        future.set_exception(error)
    else:
        future.set_result(value)
