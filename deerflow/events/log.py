r"""RunLog: what runs say, for who reads it (sync, from any thread). ``writer.py`` has the pen.

Redis keys, all of one run, ``<run>`` its id:

====================  =======  ==========================================================================
``df:<run>:log``      list     the entries, oldest first; the one at index i has place ``base + i + 1``
``df:<run>:head``     hash     ``attempt``: the newest one; an older one's words are refused
                               ``base``: places given before the list's first entry (0 unless entries went)
                               ``bytes``: size of all entries in the list; above its bound the oldest go
                               ``paused``: it has ended with nodes left to run: a question, a breakpoint
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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast
from uuid import UUID

import orjson
import redis
from redis.exceptions import RedisError

from deerflow.domain.events import Entry
from deerflow.errors import Unavailable
from deerflow.events.wakeups import ROW

LIVE_SECONDS = 7 * 86_400
"""How long every key lives after the last append; the finish shortens it."""
_BYTES_PER_READ = 4 << 20  # of events that are large a thousand at once would fill a web process's memory
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


def head_key(run_id: UUID) -> str:
    """Key of what is known of a run's list."""
    return f"df:{run_id}:head"


def outcome_key(run_id: UUID) -> str:
    """Key of what a run has left."""
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


def ended_key(run_id: UUID) -> str:
    """Key of a run's tombstone."""
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
                keys=[log_key(run_id), head_key(run_id)], args=[after, limit, _BYTES_PER_READ]
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
            keys = [key for run_id in run_ids for key in (log_key(run_id), head_key(run_id))]
            return [int(end) for end in self._ends(keys=keys)]
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error

    def outcome(self, run_id: UUID) -> bytes | None:
        """JSON of what the run left, or None when it has not ended or is no longer kept."""
        try:
            return cast(bytes | None, self._redis.get(outcome_key(run_id)))
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error

    def is_paused(self, run_id: UUID) -> bool:
        """Whether a run that is over has left nodes to run."""
        try:
            return self._redis.hget(head_key(run_id), "paused") is not None
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
            told = self._redis.get(ended_key(run_id))
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error
        return Tombstone.read(cast(bytes, told)) if told is not None else None

    def bury(self, run_id: UUID, tombstone: Tombstone, outcome: bytes) -> None:
        """Keep what readers of a run that will leave no row are told; losing this costs them the reason."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(ended_key(run_id), tombstone.told(), ex=LIVE_SECONDS)
            pipe.set(outcome_key(run_id), outcome, ex=LIVE_SECONDS)
            pipe.execute()
        except RedisError:
            return

    def forget(self, run_id: UUID) -> None:
        """Remove everything that was kept of a deleted run; what cannot be removed now expires by itself."""
        try:
            self._redis.delete(log_key(run_id), head_key(run_id), outcome_key(run_id))
            self._redis.publish(log_key(run_id), ROW)
        except RedisError:
            return

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()
