"""Follow a run from a cursor to its end; stream, wait and join all use this."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import orjson

from deerflow.backend import Backend
from deerflow.domain.events import Entry
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Followed
from deerflow.domain.words import RunStatus
from deerflow.errors import NotFound, Unauthenticated
from deerflow.events.tails import Follower
from deerflow.runtime.listening import Heartbeat, Listening
from deerflow.storage import runs, threads


@dataclass(frozen=True)
class Gap:
    """What was said up to *upto* is no longer kept; the state endpoint has the truth."""

    upto: int


class Refused(Unauthenticated):
    """The caller has lost the right to read while they did."""

    def __init__(self) -> None:
        super().__init__("Whoever asked may not read this any more; sign in again, or use another key")


class Following(Listening):
    """One reader of a run. Iterating yields entries, heartbeats and gaps until the run is over.

    When it was ended before (``interrupt``, the stop of this process, ``refused``) ``ended`` stays False: there is
    more to come for whoever asks again.
    """

    def __init__(self, backend: Backend, run: Followed, *, after: int | None, still_holds: Callable[[], bool]) -> None:
        super().__init__(backend, still_holds=still_holds)
        self.ended = False
        """Whether the run is over and all of it was told."""
        self._run = run
        self._after = after
        self._standing = False

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
