"""Rate limits: counted in Redis, for all processes together; each counter expires by itself.

===============================  ======  ======================================================================
``df:limit:<limit>:<who>``       string  how often within the window; it lives as long as the window, which
                                         begins with the first one. <who> is a digest: short, and nobody's e-mail
===============================  ======  ======================================================================
"""

import hashlib
from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from deerflow.errors import RateLimited, Unavailable

_SPEND = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count >= tonumber(ARGV[1]) then
  return math.max(redis.call('PTTL', KEYS[1]), 1)
end
if count == 0 then
  redis.call('SET', KEYS[1], 1, 'EX', ARGV[2])
else
  redis.call('INCR', KEYS[1])
end
return 0
"""
"""Count one, unless all are spent: then the milliseconds until the window ends. What is refused is not counted."""

_GIVE_BACK = """
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
if count > 1 then
  redis.call('DECR', KEYS[1])
elseif count == 1 then
  redis.call('DEL', KEYS[1])
end
return 0
"""


@dataclass(frozen=True)
class Limit:
    """So many within so many seconds, counted from the first one. ``told`` is what who has spent them all is told."""

    name: str
    most: int
    seconds: int
    told: str


class Limits:
    """The counters of this installation."""

    def __init__(self, client: redis.Redis) -> None:
        self._spend = client.register_script(_SPEND)
        self._give_back = client.register_script(_GIVE_BACK)

    def spend(self, limit: Limit, who: str) -> None:
        """Count one; RateLimited, with the seconds until the next is free, when they are spent already."""
        try:
            left = int(self._spend(keys=[_key(limit, who)], args=[limit.most, limit.seconds]))
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
        if left:
            raise RateLimited(limit.told, retry_after=-(-left // 1_000))

    def give_back(self, limit: Limit, who: str) -> None:
        """Uncount one that was no failure after all."""
        try:
            self._give_back(keys=[_key(limit, who)])
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error


def _key(limit: Limit, who: str) -> str:
    return f"df:limit:{limit.name}:{hashlib.sha256(who.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
