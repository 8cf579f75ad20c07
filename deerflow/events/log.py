r"""RunLog: what runs say. The worker appends (async), the web reads (sync).

Redis keys, all of one run, ``<run>`` its id:

====================  =======  ==========================================================================
``df:<run>:log``      list     the entries, oldest first; the one at index i has place ``base + i + 1``
``df:<run>:head``     hash     ``attempt``: the newest one; an older one's words are refused
                               ``base``: places given before the list's first entry (0 unless entries went)
                               ``bytes``: size of all entries in the list; above its bound the oldest go
``df:<run>:outcome``  string   JSON of what wait, join and webhooks answer; written before the finish commits
``df:<run>:ended``    string   JSON ``[thread, owner, cancelled]`` of a run that has left no row: it went with its
                               temporary thread, or was rolled back
====================  =======  ==========================================================================

A channel with the name of the list wakes readers; its messages carry no facts. An entry is 13 digits of Unix
milliseconds, then ``event: NAME\r\ndata: JSON\r\n``: the SSE frame but for its id and the blank line. All keys
live 7 days after the last append; the finish shortens that to the retention setting.

An event's id is its place: no holes, no repeats, whichever worker says it; base + length is the last one.
Whether a run is over is not in the log: that is read from its row.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast
from uuid import UUID

import orjson
import redis
import redis.asyncio
from redis.exceptions import RedisError

from deerflow.domain.events import Entry
from deerflow.errors import Fenced, Unavailable
from deerflow.events.wakeups import ROW

log = logging.getLogger(__name__)

_LIVE_SECONDS = 7 * 86_400
_RETRY_PAUSE_SECONDS = 0.2
_REPAIR_WINDOW_SECONDS = 10.0
_REPAIR_BYTES = 4 << 20
_GATHER_SECONDS = 0.003
"""Pause between two appends, for events to gather: unseen by people, and it saves most of a fast model's appends."""
_FRAMES_PER_APPEND = 500
_BYTES_PER_APPEND = 1 << 20  # Redis does nothing else meanwhile, and refuses commands above its limits
_BYTES_PER_READ = 4 << 20  # of events that are large a thousand at once would fill a web process's memory
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

# KEYS: log, head. ARGV: place to read after, most entries, most bytes (but at least one entry).
# Answers base, length and entries of one moment.
_READ = """
local base, length = tonumber(redis.call('HGET', KEYS[2], 'base') or '0'), redis.call('LLEN', KEYS[1])
local start, left, bytes, found = math.max(tonumber(ARGV[1]) - base, 0), tonumber(ARGV[2]), tonumber(ARGV[3]), {}
while left > 0 do
  local part = redis.call('LRANGE', KEYS[1], start, start + math.min(left, 50) - 1)
  for i = 1, #part do
    bytes = bytes - #part[i]
    if bytes < 0 and #found > 0 then return {base, length, found} end
    found[#found + 1] = part[i]
  end
  if #part < 50 then break end
  start, left = start + 50, left - 50
end
return {base, length, found}
"""

# KEYS: log, head, log, head... Answers the last place of each.
_ENDS = """
local ends = {}
for i = 1, #KEYS, 2 do
  ends[#ends + 1] = tonumber(redis.call('HGET', KEYS[i + 1], 'base') or '0') + redis.call('LLEN', KEYS[i])
end
return ends
"""


def log_key(run_id: UUID) -> str:
    """Key of a run's list, and name of the channel that wakes its readers."""
    return f"df:{run_id}:log"


def _head_key(run_id: UUID) -> str:
    return f"df:{run_id}:head"


def _outcome_key(run_id: UUID) -> str:
    return f"df:{run_id}:outcome"


def encode(name: str, data: bytes, at_ms: int) -> bytes:
    """One entry as it is stored. Of a node's name, which may hold anything, only what fits on one line is kept."""
    name = " ".join(name.splitlines())
    return b"%013d" % at_ms + b"event: " + name.encode() + b"\r\ndata: " + data + b"\r\n"


def decode(place: int, stored: bytes) -> Entry:
    """A stored entry, with its place."""
    return Entry(place, int(stored[:13]), stored[13:])


@dataclass(frozen=True)
class Page:
    """A stretch of a log. ``base`` is the last place that is no longer kept; ``end`` the last one said."""

    base: int
    end: int
    entries: list[Entry]


def _ended_key(run_id: UUID) -> str:
    return f"df:{run_id}:ended"


@dataclass(frozen=True)
class Tombstone:
    """What is left of a run without a row. ``cancelled``: that is how it ended."""

    thread_id: UUID
    owner: str
    cancelled: bool

    def told(self) -> bytes:
        """The tombstone as it is stored."""
        return orjson.dumps([self.thread_id, self.owner, self.cancelled])

    @classmethod
    def read(cls, stored: bytes) -> Self:
        """A stored tombstone."""
        thread_id, owner, cancelled = orjson.loads(stored)
        return cls(UUID(thread_id), owner, cancelled)


class RunLog:
    """Reads logs and outcomes, from any thread. Owns one connection pool."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._read = client.register_script(_READ)
        self._ends = client.register_script(_ENDS)

    def read(self, run_id: UUID, after: int, *, limit: int = 1_000) -> Page:
        """Up to *limit* entries after the place *after*, fewer large ones; Unavailable when Redis does not answer."""
        try:
            base, length, stored = self._read(
                keys=[log_key(run_id), _head_key(run_id)], args=[after, limit, _BYTES_PER_READ]
            )
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error
        first = max(after, base) + 1
        return Page(base, base + length, [decode(first + i, entry) for i, entry in enumerate(stored)])

    def end(self, run_id: UUID) -> int:
        """The place of the last entry; 0 when there is none."""
        return self.ends([run_id])[0]

    def ends(self, run_ids: Sequence[UUID]) -> list[int]:
        """The same of several runs at once."""
        try:
            keys = [key for run_id in run_ids for key in (log_key(run_id), _head_key(run_id))]
            return [int(end) for end in self._ends(keys=keys)]
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error

    def outcome(self, run_id: UUID) -> bytes | None:
        """JSON of what the run left, or None when it has not ended or is no longer kept."""
        try:
            return cast(bytes | None, self._redis.get(_outcome_key(run_id)))
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error

    def wake(self, run_id: UUID) -> None:
        """Make readers look at the run's row; losing this costs them a heartbeat, so it never raises."""
        try:
            self._redis.publish(log_key(run_id), ROW)
        except RedisError:
            return

    def tombstone(self, run_id: UUID) -> Tombstone | None:
        """What is known of a run that has left no row; None when there is no such run."""
        try:
            told = self._redis.get(_ended_key(run_id))
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error
        return Tombstone.read(cast(bytes, told)) if told is not None else None

    def bury(self, run_id: UUID, tombstone: Tombstone, outcome: bytes) -> None:
        """Keep what readers of a run that will leave no row are told; losing this costs them the reason."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(_ended_key(run_id), tombstone.told(), ex=_LIVE_SECONDS)
            pipe.set(_outcome_key(run_id), outcome, ex=_LIVE_SECONDS)
            pipe.execute()
        except RedisError:
            return

    def forget(self, run_id: UUID) -> None:
        """Remove everything that was kept of a deleted run; what cannot be removed now expires by itself."""
        try:
            self._redis.delete(log_key(run_id), _head_key(run_id), _outcome_key(run_id))
            self._redis.publish(log_key(run_id), ROW)
        except RedisError:
            return

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()


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
        self._keys = [log_key(run_id), _head_key(run_id)]
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
        await self._patiently(lambda: self._redis.set(_ended_key(self._run_id), told, ex=_LIVE_SECONDS))

    async def store_outcome(self, outcome: bytes) -> None:
        """Keep what wait, join and webhooks will answer."""
        await self._patiently(lambda: self._redis.set(_outcome_key(self._run_id), outcome, ex=_LIVE_SECONDS))

    async def expire(self, seconds: int) -> None:
        """The run is over: keep its log that long, and wake readers to look at its row. Best effort."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            for key in (*self._keys, _outcome_key(self._run_id), _ended_key(self._run_id)):
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
        args: list[int | bytes] = [self._attempt, place, _LIVE_SECONDS, self._keep_bytes, *frames]
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
            lambda: self._redis.eval(_REBASE, 2, *self._keys, self._attempt, base, _LIVE_SECONDS)
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
