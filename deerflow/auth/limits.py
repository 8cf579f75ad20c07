"""Rate limits: counted in Redis, for all processes together; each counter expires by itself.

``LIMITS:deerflow:<limit>/<who>/…`` is the library's own layout of a fixed window.
"""

import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from deerflow.errors import RateLimited, Unavailable


@dataclass(frozen=True)
class Limit:
    """So many within so many seconds, counted from the first one. ``told`` is what who has spent them all is told."""

    name: str
    most: int
    seconds: int
    told: str

    @property
    def item(self) -> RateLimitItem:
        """The same as the library's."""
        return RateLimitItemPerSecond(self.most, self.seconds, namespace=f"deerflow:{self.name}")


class Limits:
    """The counters of this installation."""

    def __init__(self, redis_url: str) -> None:
        url = redis_url.replace("unix://", "redis+unix://", 1)
        self._storage = RedisStorage(url, socket_timeout=5, socket_connect_timeout=5)
        self._windows = FixedWindowRateLimiter(self._storage)

    def spend(self, limit: Limit, who: str) -> None:
        """Count one; RateLimited, with the seconds until the next is free, when they are spent already."""
        try:
            if self._windows.hit(limit.item, who):
                return
            reset = self._windows.get_window_stats(limit.item, who).reset_time
            # What is refused has not happened: it must not count when those under way turn out to be no failures.
            self.give_back(limit, who)
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
        raise RateLimited(limit.told, retry_after=max(1, round(reset - time.time())))

    def give_back(self, limit: Limit, who: str) -> None:
        """Uncount one that was no failure after all."""
        item = limit.item
        try:
            self._storage.incr(item.key_for(who), item.get_expiry(), amount=-1)
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
