"""Tails: the newest entries of the runs that this process's clients follow, fetched once for all of them.

However many clients follow a run, one ring costs one read of Redis. A client that is far behind what a tail
keeps reads for itself until it has caught up.

The clock behind the doorbells is one for all tails, too: whose follower it is that finds that nobody has looked for
a while (``due``) looks on behalf of everyone, and rings those whose doorbell was lost.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import takewhile
from uuid import UUID

from deerflow.domain.events import Entry
from deerflow.errors import Unavailable
from deerflow.events.log import Page, RunLog, log_key
from deerflow.events.wakeups import ROW, Wakeups, Watch

_KEPT_BYTES = 1 << 20
_PAGE = 1_000
_PATIENCE_SECONDS = 10.0


class _Tail:
    """The newest entries of one run, without holes. ``base`` is that of the last look at Redis."""

    __slots__ = ("_base", "_bytes", "_entries", "end", "lock", "watches")

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.lock = threading.Lock()
        self.end: int | None = None
        """The log's last place at the last look at Redis; None as long as nobody has read it."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._base = 0

    def after(self, cursor: int) -> Page | None:
        """What follows *cursor*; None when the tail does not have it."""
        if not self._entries or not self._entries[0].place <= cursor + 1 <= self._entries[-1].place:
            return None
        newest_first = takewhile(lambda entry: entry.place > cursor, reversed(self._entries))
        assert self.end is not None
        # Redis may have dropped by now what the tail still has: no gap for who reads it here.
        return Page(min(self._base, cursor), self.end, list(newest_first)[::-1])

    def keep(self, page: Page) -> None:
        """Add what continues the tail, or is newer than it; a catch-up from far behind is its follower's alone."""
        self._base, self.end = page.base, page.end
        if not page.entries:
            return
        if self._entries and page.entries[0].place != self._entries[-1].place + 1:
            if page.entries[-1].place <= self._entries[-1].place:
                return
            self._entries.clear()
            self._bytes = 0
        self._entries.extend(page.entries)
        self._bytes += sum(len(entry.frame) for entry in page.entries)
        while self._bytes > _KEPT_BYTES and len(self._entries) > 1:
            self._bytes -= len(self._entries.popleft().frame)


class Follower:
    """One client's view of a run's log: ``cursor`` is the last place it has read."""

    __slots__ = ("_log", "_run_id", "_tail", "cursor", "watch")

    def __init__(self, log: RunLog, run_id: UUID, tail: _Tail, watch: Watch) -> None:
        self.watch = watch
        self.cursor = 0
        self._log, self._run_id, self._tail = log, run_id, tail

    def start(self, cursor: int | None) -> None:
        """Stand behind *cursor*; None, or a place that was never said, means behind the last entry."""
        if cursor != 0:
            end = self._log.end(self._run_id)
            cursor = end if cursor is None else min(cursor, end)
        self.cursor = cursor

    def read(self) -> Page:
        """What was said after the cursor, and move the cursor behind it; ``Page.base`` above the cursor is a gap.

        Not always all of it: as long as the cursor is below ``Page.end`` there is more.
        """
        page = self._page()
        self.cursor = page.entries[-1].place if page.entries else max(self.cursor, page.base)
        return page

    def _page(self) -> Page:
        # The first of all woken followers fetches, the others wait for it and find it done.
        if not self._tail.lock.acquire(timeout=_PATIENCE_SECONDS):
            raise Unavailable("The event log does not answer")
        try:
            page = self._tail.after(self.cursor)
            if page is None:
                page = self._log.read(self._run_id, self.cursor, limit=_PAGE)
                self._tail.keep(page)
            return page
        finally:
            self._tail.lock.release()


class Tails:
    """All tails of this process."""

    def __init__(self, log: RunLog, wakeups: Wakeups) -> None:
        self._log, self._wakeups = log, wakeups
        self._tails: dict[UUID, _Tail] = {}
        self._lock = threading.Lock()
        self._looked_at = 0.0

    @contextmanager
    def follow(self, run_id: UUID, by: Watch | None = None) -> Iterator[Follower]:
        """Follow a run for the length of the block; when this returns no ring can be missed any more.

        *by*: a watch that hears something else already.
        """
        with self._wakeups.watch(log_key(run_id), by) as watch:
            with self._lock:
                tail = self._tails.setdefault(run_id, _Tail())
                tail.watches.add(watch)
            try:
                yield Follower(self._log, run_id, tail, watch)
            finally:
                with self._lock:
                    tail.watches.discard(watch)
                    if not tail.watches:
                        del self._tails[run_id]

    def due(self, seconds: float) -> list[UUID]:
        """The runs to look after when nobody has for that long, and none otherwise: who gets them has to look."""
        with self._lock:
            now = time.monotonic()
            if now < self._looked_at + seconds:
                return []
            self._looked_at = now
            return list(self._tails)

    def ring_unheard(self, run_ids: Collection[UUID]) -> None:
        """Wake the followers of those runs whose logs have said more than anyone here has read."""
        for run_id, end in zip(run_ids, self._log.ends(list(run_ids)), strict=True):
            tail = self._tails.get(run_id)
            if tail is not None and tail.end is not None and end > tail.end:
                self._ring(run_id, b"")

    def ring_rows(self, run_ids: Collection[UUID]) -> None:
        """Wake the followers of these runs to look at their rows."""
        for run_id in run_ids:
            self._ring(run_id, ROW)

    def _ring(self, run_id: UUID, payload: bytes) -> None:
        with self._lock:
            tail = self._tails.get(run_id)
            watches = list(tail.watches) if tail is not None else []
        for watch in watches:
            watch.ring(payload)
