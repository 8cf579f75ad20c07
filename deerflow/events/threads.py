"""Threads that this process's clients follow, and the doorbell of each: "a new run, look at the rows".

A channel ``df:t:<thread>`` and no key: what a thread has is in its rows. Behind the doorbells is the clock that all
followers of the process share (``due``), as behind those of runs (``tails``).
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import redis
from redis.exceptions import RedisError

from deerflow.events.wakeups import ROW, Wakeups, Watch


def channel(thread_id: UUID) -> str:
    """What wakes those who follow a thread."""
    return f"df:t:{thread_id}"


class _Door:
    """One thread's followers. ``last`` is the number of its newest run that any of them, or the clock, knows."""

    __slots__ = ("last", "watches")

    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.last = 0


class FollowedThreads:
    """The threads that are followed in this process."""

    def __init__(self, client: redis.Redis, wakeups: Wakeups) -> None:
        self._redis, self._wakeups = client, wakeups
        self._doors: dict[UUID, _Door] = {}
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()

    @contextmanager
    def follow(self, thread_id: UUID) -> Iterator[Watch]:
        """Follow a thread for the length of the block; when this returns no ring can be missed any more.

        The watch may be taken to the runs of the thread, too (``Tails.follow``).
        """
        with self._wakeups.watch(channel(thread_id)) as watch:
            with self._lock:
                self._doors.setdefault(thread_id, _Door()).watches.add(watch)
            try:
                yield watch
            finally:
                with self._lock:
                    watches = self._doors[thread_id].watches
                    watches.discard(watch)
                    if not watches:
                        del self._doors[thread_id]

    def wake(self, thread_id: UUID) -> None:
        """Make followers look at the thread's runs; losing this costs them a heartbeat, so it never raises."""
        try:
            self._redis.publish(channel(thread_id), ROW)
        except RedisError:
            return

    def seen(self, thread_id: UUID, ordinal: int) -> None:
        """A follower knows of the run with this number."""
        with self._lock:
            door = self._doors.get(thread_id)
            if door is not None:
                door.last = max(door.last, ordinal)

    def due(self, seconds: float) -> list[UUID]:
        """The threads to look after when nobody has for that long, and none otherwise: who gets them has to look."""
        with self._lock:
            now = time.monotonic()
            if now < self._looked_at + seconds:
                return []
            self._looked_at = now
            return list(self._doors)

    def ring_unseen(self, last: Mapping[UUID, int]) -> None:
        """Wake the followers of those threads that have newer runs than anyone here knows of."""
        with self._lock:
            doors = [(self._doors.get(thread_id), ordinal) for thread_id, ordinal in last.items()]
            unseen = [(door, ordinal) for door, ordinal in doors if door is not None and ordinal > door.last]
            for door, ordinal in unseen:
                door.last = ordinal
            watches = [watch for door, _ in unseen for watch in door.watches]
        for watch in watches:
            watch.ring(ROW)
