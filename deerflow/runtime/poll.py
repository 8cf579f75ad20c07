"""Look at a run for clients that poll: its events a page at a time, or its row when it has changed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from deerflow.backend import Backend
from deerflow.domain.events import Entry
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run
from deerflow.domain.words import RunStatus
from deerflow.events.log import log_key
from deerflow.runtime.join import Refused
from deerflow.storage import runs

_LOOK_SECONDS = 1.0
"""Behind every doorbell there is a clock: how often a waiting poll looks without having been rung."""


@dataclass(frozen=True)
class EventPage:
    """Some events of a run. ``next`` is where to go on; ``gap_upto`` the last place asked for that is not kept.

    ``done``: the run is over and there is nothing after these.
    """

    entries: list[Entry]
    next: int
    gap_upto: int | None
    done: bool
    run: Run


def events(
    backend: Backend,
    principal: Principal,
    run: Run,
    *,
    after: int,
    limit: int,
    wait_seconds: float,
    still_holds: Callable[[], bool],
) -> EventPage:
    """The events after a place; with none there yet, waits for the first ones or the end (the run's or ours).

    Refused when *still_holds* says, meanwhile, that the caller may not go on reading.
    """
    deadline = time.monotonic() + wait_seconds
    with backend.wakeups.watch(log_key(run.run_id)) as watch:
        while True:
            watch.clear()
            now = _now(backend, principal, run)  # before the log: once the row is over the log is complete
            page = backend.log.read(run.run_id, after, limit=limit)
            at = page.entries[-1].place if page.entries else max(after, page.base)
            done = now.is_terminal and at >= page.end
            if page.entries or done or backend.wakeups.ending or (left := deadline - time.monotonic()) <= 0:
                gap = page.base if page.base > after else None
                return EventPage(page.entries, at, gap, done, now)
            watch.wait(min(left, _LOOK_SECONDS))
            _require(still_holds)


def changed(
    backend: Backend,
    principal: Principal,
    run: Run,
    *,
    is_new: Callable[[Run], bool],
    wait_seconds: float,
    still_holds: Callable[[], bool],
) -> Run:
    """The run as soon as *is_new* says so, or as it is after that time or when this process is told to stop.

    Refused as ``events``.
    """
    deadline = time.monotonic() + wait_seconds
    with backend.wakeups.watch(log_key(run.run_id)) as watch:
        while True:
            watch.clear()
            now = _now(backend, principal, run)
            while not (is_new(now) or backend.wakeups.ending) and (left := deadline - time.monotonic()) > 0:
                rung = watch.wait(min(left, _LOOK_SECONDS))
                _require(still_holds)
                look = watch.clear()
                if look or not rung or now.status is RunStatus.PENDING:
                    break  # tokens ring, too, and they change no row
            else:
                return now


def _require(still_holds: Callable[[], bool]) -> None:
    if not still_holds():
        raise Refused


def _now(backend: Backend, principal: Principal, run: Run) -> Run:
    with backend.db.read() as tx:
        return runs.get(tx, principal, run.thread_id, run.run_id)
