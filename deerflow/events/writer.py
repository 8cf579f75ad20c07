"""LogWriter: one attempt's pen, the only writer of its run's log (async). ``log.py`` tells what the keys hold."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import redis
import redis.asyncio
from redis.exceptions import RedisError

from deerflow.errors import Fenced
from deerflow.events.log import LIVE_SECONDS, Tombstone, encode, ended_key, head_key, log_key, outcome_key
from deerflow.events.wakeups import ROW

log = logging.getLogger(__name__)

_RETRY_PAUSE_SECONDS = 0.2
_REPAIR_WINDOW_SECONDS = 10.0
_REPAIR_BYTES = 4 << 20
_GATHER_SECONDS = 0.003
"""Pause between two appends, for events to gather: unseen by people, and it saves most of a fast model's appends."""
_FRAMES_PER_APPEND = 500
_BYTES_PER_APPEND = 1 << 20  # Redis does nothing else meanwhile, and refuses commands above its limits
_UNSENT_FRAMES = 10_000
_UNSENT_BYTES = 8 << 20
_REBASE_MARGIN = 10_000

_AWAY = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,  # a failover has left us with a replica
    redis.exceptions.OutOfMemoryError,  # noeviction: old logs expire and make room
)

# KEYS: log, head. ARGV: attempt, place that the writer stands at, seconds to live, most bytes to keep, frames...
# Answers {1, new place} or {0, real place} when the list is not where the writer believes, {-1, 0} when fenced.
# Beyond the most bytes the oldest entries go, never the newest. One RPUSH takes all: unpack can hold thousands.
_APPEND = """
local head = redis.call('HMGET', KEYS[2], 'attempt', 'base', 'bytes')
local newest = tonumber(head[1] or '0')
if tonumber(ARGV[1]) ~= newest then
  if tonumber(ARGV[1]) < newest then return {-1, 0} end
  redis.call('HSET', KEYS[2], 'attempt', ARGV[1])
end
local base, length = tonumber(head[2] or '0'), redis.call('LLEN', KEYS[1])
local place = base + length
if place ~= tonumber(ARGV[2]) then return {0, place} end
local bytes = length > 0 and tonumber(head[3] or '0') or 0
for i = 5, #ARGV do bytes = bytes + #ARGV[i] end
length = redis.call('RPUSH', KEYS[1], unpack(ARGV, 5))
if bytes > tonumber(ARGV[4]) then
  while bytes > tonumber(ARGV[4]) and length > 1 do
    bytes = bytes - #redis.call('LPOP', KEYS[1])
    length = length - 1
  end
  redis.call('HSET', KEYS[2], 'base', place + #ARGV - 4 - length)
end
redis.call('HSET', KEYS[2], 'bytes', bytes)
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', KEYS[1], '')
return {1, place + #ARGV - 4}
"""

# KEYS: log, head. ARGV: attempt, base, seconds to live. Empties a list that has lost its tail beyond repair.
_REBASE = """
local newest = tonumber(redis.call('HGET', KEYS[2], 'attempt') or '0')
if tonumber(ARGV[1]) < newest then return -1 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[2], 'attempt', ARGV[1], 'base', ARGV[2], 'bytes', 0)
redis.call('EXPIRE', KEYS[2], ARGV[3])
return tonumber(ARGV[2])
"""

# KEYS: log, head. ARGV: attempt. Answers the place where this attempt goes on, or -1 when fenced.
_OPEN = """
local newest = tonumber(redis.call('HGET', KEYS[2], 'attempt') or '0')
if tonumber(ARGV[1]) < newest then return -1 end
redis.call('HSET', KEYS[2], 'attempt', ARGV[1])
return tonumber(redis.call('HGET', KEYS[2], 'base') or '0') + redis.call('LLEN', KEYS[1])
"""


class LogWriter:
    """One attempt's pen: the only writer of its run's log.

    ``say`` queues and returns; a task of its own sends the first event after a silence at once, and then what has
    gathered meanwhile. ``flush`` returns when all that was said before is stored. Redis may be away for as long as
    the lease lasts: the writer tries again and keeps the order. Of a log above *keep_bytes* the oldest entries go.
    """

    def __init__(self, client: redis.asyncio.Redis, run_id: UUID, attempt: int, *, keep_bytes: int) -> None:
        self.place = 0
        """The place of the last entry that is stored."""
        self._redis = client
        self._keys = [log_key(run_id), head_key(run_id)]
        self._run_id = run_id
        self._attempt = attempt
        self._keep_bytes = keep_bytes
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._recent: deque[tuple[float, int, bytes]] = deque()  # (at, place, frame), to repair a lost tail
        self._recent_bytes = 0
        self._queued = self._stored = 0  # events of this attempt; unlike places they never jump
        self._flushed_upto = 0  # how many of them somebody waits for
        self._stirred = asyncio.Event()
        self._urged = asyncio.Event()
        self._moved = asyncio.Event()  # set, and replaced by a new one, when something was stored or has failed
        self._failure: Exception | None = None
        self._append_script = client.register_script(_APPEND)
        self._task: asyncio.Task[None] | None = None

    async def open(self, *, known_upto: int) -> None:
        """Take the log for this attempt; Fenced when a newer one has it.

        *known_upto*: how far the row says the log had come. A shorter list has lost its tail with Redis: ids
        already given are not given again, so the base is set well above them.
        """
        place = await self._patiently(lambda: self._redis.eval(_OPEN, 2, *self._keys, self._attempt))
        if place == -1:
            raise Fenced("A newer attempt writes this log")
        if place < known_upto:
            place = await self._rebase(known_upto + _REBASE_MARGIN)
        self.place = place
        self._task = asyncio.create_task(self._send_all(), name=f"log {self._run_id}")

    async def say(self, name: str, data: bytes) -> int:
        """Queue one event; waits only while very much is unsent. Answers the place of the last one *stored*.

        That is what a row may promise: what is only queued dies with this process, and its place is given again.
        """
        while len(self._pending) >= _UNSENT_FRAMES or self._pending_bytes >= _UNSENT_BYTES:
            self._raise_failure()
            await self._moved.wait()
        self._raise_failure()
        frame = encode(name, data, time.time_ns() // 1_000_000)
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        self._queued += 1
        self._stirred.set()
        return self.place

    async def flush(self) -> None:
        """Wait until everything said so far is stored; raises Fenced when it never will be."""
        wanted = self._flushed_upto = self._queued
        self._urged.set()
        while self._stored < wanted and self._failure is None:
            await self._moved.wait()
        self._raise_failure()

    async def close(self) -> None:
        """Stop sending; what is not flushed is dropped, and whoever still speaks or flushes is refused."""
        self.cut_off()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def cut_off(self) -> None:
        """Refuse whatever is still said: this attempt is over."""
        self._fail(Fenced("This attempt is over"))

    async def leave_tombstone(self, tombstone: Tombstone) -> None:
        """The run's row will be gone: keep whose it was, so that its log can still be read."""
        told = tombstone.told()
        await self._patiently(lambda: self._redis.set(ended_key(self._run_id), told, ex=LIVE_SECONDS))

    async def store_outcome(self, outcome: bytes, *, is_paused: bool = False) -> None:
        """Keep what wait, join and webhooks will answer. *is_paused*: its thread has nodes left to run."""

        async def store() -> None:
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(outcome_key(self._run_id), outcome, ex=LIVE_SECONDS)
            if is_paused:
                pipe.hset(head_key(self._run_id), "paused", 1)
            await pipe.execute()

        await self._patiently(store)

    async def expire(self, seconds: int) -> None:
        """The run is over: keep its log that long, and wake readers to look at its row. Best effort."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            for key in (*self._keys, outcome_key(self._run_id), ended_key(self._run_id)):
                pipe.expire(key, seconds)
            pipe.publish(log_key(self._run_id), ROW)
            await pipe.execute()
        except RedisError:
            return

    async def _send_all(self) -> None:
        try:
            while self._failure is None:  # clients of Redis swallow a cancel that comes at the wrong moment
                await self._stirred.wait()
                self._stirred.clear()
                while self._pending:
                    self._raise_failure()
                    await self._send_some()
                    await self._let_gather()
        except Exception as error:  # noqa: BLE001 - kept, and raised to whoever speaks or flushes next
            self._fail(error)

    async def _let_gather(self) -> None:
        """Pause after an append, unless somebody waits for what is still unsent."""
        self._urged.clear()
        if self._stored >= self._flushed_upto and len(self._pending) < _FRAMES_PER_APPEND:
            timer = asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._urged.set)
            await self._urged.wait()
            timer.cancel()

    async def _send_some(self) -> None:
        frames = self._batch()
        answer, place = await self._append(self.place, frames)
        if answer == 0:
            await self._repair(place, frames)
            return
        self._stored_upto(place, frames)

    async def _append(self, place: int, frames: Sequence[bytes]) -> tuple[int, int]:
        """What the script answers to an append at *place*; raises Fenced."""
        args: list[int | bytes] = [self._attempt, place, LIVE_SECONDS, self._keep_bytes, *frames]
        answer, real = await self._patiently(partial(self._append_script, keys=self._keys, args=args))
        if answer == -1:
            raise Fenced("A newer attempt writes this log")
        return answer, real

    def _batch(self) -> list[bytes]:
        """The oldest unsent frames that make one append."""
        frames: list[bytes] = []
        size = 0
        for frame in self._pending:
            size += len(frame)
            if frames and (size > _BYTES_PER_APPEND or len(frames) == _FRAMES_PER_APPEND):
                break
            frames.append(frame)
        return frames

    def _stored_upto(self, place: int, frames: Sequence[bytes]) -> None:
        self._remember(frames)
        for _ in frames:
            self._pending_bytes -= len(self._pending.popleft())
        self.place = place
        self._stored += len(frames)
        self._announce()

    def _fail(self, error: Exception) -> None:
        """Nothing more can be stored; the first reason is the one that is told."""
        self._failure = self._failure or error
        self._announce()

    def _announce(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _remember(self, frames: Sequence[bytes]) -> None:
        at = time.monotonic()
        self._recent.extend((at, self.place + i + 1, frame) for i, frame in enumerate(frames))
        self._recent_bytes += sum(map(len, frames))
        while self._recent and (self._recent[0][0] < at - _REPAIR_WINDOW_SECONDS or self._recent_bytes > _REPAIR_BYTES):
            self._recent_bytes -= len(self._recent.popleft()[2])

    async def _repair(self, real: int, frames: Sequence[bytes]) -> None:
        """The list is not where we believe.

        Longer by exactly what we sent: an append whose answer was lost. Shorter: Redis came back without its tail;
        say it again from memory, or give up those places and let readers know by the base.
        """
        if real == self.place + len(frames):
            self._stored_upto(real, frames)
            return
        if real < self.place and self._recent and self._recent[0][1] <= real + 1:
            lost = [frame for _, place, frame in self._recent if place > real]
            for start in range(0, len(lost), _FRAMES_PER_APPEND):
                await self._append(real + start, lost[start : start + _FRAMES_PER_APPEND])
            return
        self._recent.clear()
        self._recent_bytes = 0
        self.place = await self._rebase(max(real, self.place) + _REBASE_MARGIN)

    async def _rebase(self, base: int) -> int:
        place = await self._patiently(
            lambda: self._redis.eval(_REBASE, 2, *self._keys, self._attempt, base, LIVE_SECONDS)
        )
        if place == -1:
            raise Fenced("A newer attempt writes this log")
        return int(place)

    async def _patiently(self, act: Callable[[], Any]) -> Any:
        """Do *act*, again and again while Redis is away or full; ends when this attempt is cut off."""
        told = False
        while True:
            try:
                return await act()
            except _AWAY as error:
                self._raise_failure()
                if not told:
                    log.warning("Redis does not take a run's events; trying again", extra={"reason": error})
                    told = True
            await asyncio.sleep(_RETRY_PAUSE_SECONDS)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
