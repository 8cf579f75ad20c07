"""What all readers of what runs say have in common: they wait, give signs of life, ask whether they may, and stop."""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from deerflow.backend import Backend
from deerflow.errors import Unavailable
from deerflow.events.wakeups import Watch
from deerflow.storage import runs, turns

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_AT_ONCE = 200
"""In between, other readers have their turn."""


@dataclass(frozen=True)
class Heartbeat:
    """Nothing was said for a while: time for a sign of life."""


_Step = TypeVar("_Step")


class Listening:
    """One reader of one run or of a thread's.

    ``interrupt`` (from any thread) ends the iteration at once, for a client that has gone; so does the stop of this
    process. Once a heartbeat *still_holds* is asked whether the caller may go on; if not, the iteration ends and
    ``refused`` is True.
    """

    def __init__(self, backend: Backend, *, still_holds: Callable[[], bool]) -> None:
        self.refused = False
        """Whether the caller has lost the right to read while they did."""
        self._backend = backend
        self._still_holds = still_holds
        self._next_beat = self._next_question = time.monotonic() + backend.rules.heartbeat_seconds
        self._watch: Watch | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """End the iteration at the next moment."""
        self._interrupted = True
        if self._watch is not None:
            self._watch.ring()

    @property
    def _stopped(self) -> bool:
        return self._interrupted or self.refused or self._backend.wakeups.ending

    def _insist(self, steps: Callable[[], Generator[_Step, None, None]]) -> Iterator[_Step | Heartbeat]:
        """Take these steps; while the log or the database is away there are heartbeats, and no end."""
        while not self._stopped:
            try:
                with closing(steps()) as taken:
                    for step in taken:
                        yield step
                        self._ask_again()
                        if self.refused:
                            return
            except Unavailable:
                log.warning("A stream waits for a part that is away")
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

    def _rung(self, watch: Watch) -> bool:
        """Wait for a ring; False: a heartbeat is due, also while it rings, as a client may filter out all it hears."""
        rung = watch.wait(max(self._next_beat - time.monotonic(), 0))
        return rung and time.monotonic() < self._next_beat

    def _look_after_all(self) -> None:
        """Behind every doorbell there is a clock: one look at logs and rows for all that this process follows."""
        seconds = self._backend.rules.heartbeat_seconds
        self._look_after_runs(seconds)
        self._look_after_threads(seconds)
        self._next_beat = time.monotonic() + seconds

    def _look_after_runs(self, seconds: float) -> None:
        tails = self._backend.tails
        followed = tails.due(seconds)
        for start in range(0, len(followed), _AT_ONCE):
            some = followed[start : start + _AT_ONCE]
            tails.ring_unheard(some)
            with self._backend.db.read() as tx:
                going_on = runs.still_inflight(tx, some)
            tails.ring_rows([run_id for run_id in some if run_id not in going_on])

    def _look_after_threads(self, seconds: float) -> None:
        threads = self._backend.threads
        followed = threads.due(seconds)
        for start in range(0, len(followed), _AT_ONCE):
            with self._backend.db.read() as tx:
                last = turns.last_ordinals(tx, followed[start : start + _AT_ONCE])
            threads.ring_unseen(last)
