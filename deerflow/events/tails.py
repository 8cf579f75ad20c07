"""Tails: the newest entries of the runs that this process's clients follow, fetched once for all of them.

However many clients follow a run, one ring costs one read of Redis. A client that is far behind what a tail
keeps reads for itself until it has caught up.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from deerflow.domain.events import Entry
from deerflow.events.log import Page, RunLog, log_key
from deerflow.events.wakeups import Wakeups, Watch

_KEPT_BYTES = 1 << 20
_PAGE = 1_000


class _Tail:
    def __init__(self) -> None:
        self.followers = 0
        self.lock = threading.Lock()
        self.entries: deque[Entry] = deque()
        self.bytes = 0
        self.end = -1  # place of the last entry seen; -1 before the first look
        self.base = 0


class Follower:
    """One client's view of a run's log: ``cursor`` is the last place it has read."""

    def __init__(self, log: RunLog, run_id: UUID, tail: _Tail, watch: Watch) -> None:
        self.watch = watch
        self.cursor = 0
        self._log, self._run_id, self._tail = log, run_id, tail

    def start(self, cursor: int | None) -> None:
        """Stand behind *cursor*; None, or a place that was never said, means behind the last entry."""
        page = self._log.read(self._run_id, cursor if cursor is not None else 0, limit=1)
        self.cursor = page.end if cursor is None else min(cursor, page.end)

    def read(self) -> Page:
        """What was said after the cursor, and move the cursor behind it; ``Page.base`` above the cursor is a gap."""
        tail = self._tail
        with tail.lock:  # the first of all woken followers fetches, the others find it done
            known = tail.end
            if known < 0 or self.cursor >= known or not self._kept(self.cursor):
                page = self._log.read(self._run_id, self.cursor, limit=_PAGE)
                self._keep(page)
            else:
                page = Page(tail.base, tail.end, [e for e in tail.entries if e.place > self.cursor])
        if page.entries:
            self.cursor = page.entries[-1].place
        else:
            self.cursor = max(self.cursor, page.base)
        return page

    def _kept(self, cursor: int) -> bool:
        return bool(self._tail.entries) and self._tail.entries[0].place <= cursor + 1

    def _keep(self, page: Page) -> None:
        """Add what continues the tail; anything else (a catch-up from far behind) is this follower's alone."""
        tail = self._tail
        if not page.entries:
            tail.end = max(tail.end, 0)
            return
        first = page.entries[0].place
        if tail.entries and first != tail.entries[-1].place + 1:
            if page.entries[-1].place <= tail.entries[-1].place:
                return
            tail.entries.clear()
            tail.bytes = 0
        tail.entries.extend(page.entries)
        tail.bytes += sum(len(e.frame) for e in page.entries)
        while tail.bytes > _KEPT_BYTES and len(tail.entries) > 1:
            tail.bytes -= len(tail.entries.popleft().frame)
        tail.end, tail.base = tail.entries[-1].place, page.base


class Tails:
    """All tails of this process."""

    def __init__(self, log: RunLog, wakeups: Wakeups) -> None:
        self._log, self._wakeups = log, wakeups
        self._tails: dict[UUID, _Tail] = {}
        self._lock = threading.Lock()

    @contextmanager
    def follow(self, run_id: UUID) -> Iterator[Follower]:
        """Follow a run for the length of the block; when this returns no ring can be missed any more."""
        with self._lock:
            tail = self._tails.setdefault(run_id, _Tail())
            tail.followers += 1
        try:
            with self._wakeups.watch(log_key(run_id)) as watch:
                yield Follower(self._log, run_id, tail, watch)
        finally:
            with self._lock:
                tail.followers -= 1
                if not tail.followers:
                    del self._tails[run_id]
