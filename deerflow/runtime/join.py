"""Follow a run from a cursor to its end; stream, wait and join all use this."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import orjson

from deerflow.backend import Backend
from deerflow.domain.events import Entry
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Followed
from deerflow.domain.words import RunStatus
from deerflow.errors import NotFound, Unauthenticated, Unavailable
from deerflow.events.tails import Follower
from deerflow.events.wakeups import Watch
from deerflow.storage import runs, threads

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_RUNS_A_LOOK = 200
"""In between, other readers have their turn."""


@dataclass(frozen=True)
class Heartbeat:
    """Nothing was said for a while: time for a sign of life."""


@dataclass(frozen=True)
class Gap:
    """What was said up to *upto* is no longer kept; the state endpoint has the truth."""

    upto: int


class Refused(Unauthenticated):
    """The caller has lost the right to read while they did."""

    def __init__(self) -> None:
        super().__init__("Whoever asked may not read this any more; sign in again, or use another key")


_Step = TypeVar("_Step")


class Following:
    """One reader of a run. Iterating yields entries, heartbeats and gaps until the run is over.

    ``interrupt`` (from any thread) ends the iteration at once, for a client that has gone; so does the stop of this
    process. Then ``ended`` stays False: there is more to come for whoever asks again. Once a heartbeat
    *still_holds* is asked whether the caller may go on; if not, the iteration ends and ``refused`` is True.
    """

    def __init__(self, backend: Backend, run: Followed, *, after: int | None, still_holds: Callable[[], bool]) -> None:
        self.ended = False
        """Whether the run is over and all of it was told."""
        self.refused = False
        """Whether the caller has lost the right to read while they did."""
        self._backend = backend
        self._run = run
        self._after = after
        self._still_holds = still_holds
        self._next_beat = self._next_question = time.monotonic() + backend.rules.heartbeat_seconds
        self._watch: Watch | None = None
        self._standing = False
        self._interrupted = False

    def interrupt(self) -> None:
        """End the iteration at the next moment."""
        self._interrupted = True
        if self._watch is not None:
            self._watch.ring()

    def __iter__(self) -> Iterator[list[Entry] | Heartbeat | Gap]:
        """Follow until the run is over; while the log or the database is away there are heartbeats, and no end."""
        return self._insist(self._follow)

    def heartbeats(self) -> Iterator[Heartbeat]:
        """The same for who only waits for the end: what is said is not even read."""
        return self._insist(self._wait)

    @property
    def cursor(self) -> int | None:
        """The place after which to go on; None for who wanted what comes from now on and has not begun to hear it."""
        return self._after

    @property
    def _stopped(self) -> bool:
        return self._interrupted or self.refused or self._backend.wakeups.ending

    def _insist(self, steps: Callable[[], Generator[_Step, None, None]]) -> Iterator[_Step | Heartbeat]:
        while not self._stopped:
            try:
                with closing(steps()) as taken:
                    for step in taken:
                        yield step
                        self._ask_again()
                        if self.refused:
                            return
            except Unavailable:
                log.warning("A stream waits for a part that is away", extra={"run_id": self._run.run_id})
                yield Heartbeat()
                self._ask_again()
                time.sleep(_RETRY_SECONDS)
            else:
                return

    def _ask_again(self) -> None:
        """Once a heartbeat, also for who has still much to hear: whether the caller may go on."""
        now = time.monotonic()
        if now >= self._next_question:
            self._next_question = now + self._backend.rules.heartbeat_seconds
            self.refused = not self._still_holds()

    def _follow(self) -> Generator[list[Entry] | Heartbeat | Gap, None, None]:
        """Subscribe, then read: what is said while we subscribe is in the log, what comes later rings.

        After each ring the log is read; where it has nothing new, or the ring meant the row, the row is looked at.
        A run that is over is read once more and left. The cursor outlives this call, so it can be called again.
        """
        with self._backend.tails.follow(self._run.run_id) as follower:
            self._watch = follower.watch
            self._stand(follower)
            look_at_row, over = True, False
            while not self._stopped:
                look_at_row |= follower.watch.clear()
                before = follower.cursor
                page = follower.read()
                if page.base > before:
                    yield Gap(page.base)
                if page.entries:
                    self._after = follower.cursor
                    yield page.entries
                if follower.cursor < page.end:
                    continue
                if over:
                    self.ended = True
                    return
                if look_at_row and self._is_over():
                    over = True  # and once more around: what was said before the end is in the log by now
                    continue
                look_at_row = False
                while not self._rung(follower.watch):
                    yield Heartbeat()
                    self._look_after_all()

    def _wait(self) -> Generator[Heartbeat, None, None]:
        with self._backend.tails.follow(self._run.run_id) as follower:
            self._watch = follower.watch
            look_at_row = True
            while not self._stopped:
                look_at_row |= follower.watch.clear()
                if look_at_row and self._is_over():
                    self.ended = True
                    return
                look_at_row = False
                while not self._rung(follower.watch):
                    yield Heartbeat()
                    self._look_after_all()

    def _rung(self, watch: Watch) -> bool:
        """Wait for a ring; False: a heartbeat is due, also while it rings, as a client may filter out all it hears."""
        rung = watch.wait(max(self._next_beat - time.monotonic(), 0))
        return rung and time.monotonic() < self._next_beat

    def _look_after_all(self) -> None:
        """Behind every doorbell there is a clock: one look at logs and rows for all that this process follows."""
        tails, seconds = self._backend.tails, self._backend.rules.heartbeat_seconds
        followed = tails.due(seconds)
        for start in range(0, len(followed), _RUNS_A_LOOK):
            some = followed[start : start + _RUNS_A_LOOK]
            tails.ring_unheard(some)
            with self._backend.db.read() as tx:
                going_on = runs.still_inflight(tx, some)
            tails.ring_rows([run_id for run_id in some if run_id not in going_on])
        self._next_beat = time.monotonic() + seconds

    def _stand(self, follower: Follower) -> None:
        """Stand behind the cursor.

        A place that the row knows, or that we have read ourselves, was said: where the log has lost it with its
        tail the writer will say it again, and we must not hear it twice. Any other place behind the end was not.
        """
        if self._standing:
            follower.cursor = self._after or 0
            return
        follower.start(self._after)
        if self._after is not None and follower.cursor < self._after <= self._run.events_upto:
            follower.cursor = self._after
        self._after, self._standing = follower.cursor, True

    def _is_over(self) -> bool:
        with self._backend.db.read() as tx:
            return not runs.still_inflight(tx, [self._run.run_id])


def outcome(backend: Backend, principal: Principal, run: Followed) -> bytes:
    """JSON of what a run that is over has left: values, ``__interrupt__`` or ``__error__``.

    From its own outcome while that is kept; else an error from its row, and values from the thread when no later
    run has changed them; else ``{}``.
    """
    stored = backend.log.outcome(run.run_id)
    if stored is not None:
        return stored
    with backend.db.read() as tx:
        try:
            now = runs.get(tx, principal, run.thread_id, run.run_id)
            thread = threads.get(tx, principal, run.thread_id)
            newest = runs.page(tx, principal, run.thread_id, status=None, limit=1, offset=0)
        except NotFound:
            return b"{}"
    if now.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        return orjson.dumps({"__error__": now.error})
    if newest[0].run_id == run.run_id and thread.values is not None:
        return orjson.dumps(thread.values)
    return b"{}"
