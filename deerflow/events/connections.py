"""Redis clients, sync and async, with time-outs and a bounded pool that waits instead of failing."""

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

_TIMEOUT_SECONDS = 5.0


def connect(url: str, *, pool: int = 32) -> redis.Redis:
    """A client for threads or greenlets; at most *pool* connections (redis-py's default pool raises at its limit)."""
    connections = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=pool,
        timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        protocol=2,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 1),
    )
    return redis.Redis.from_pool(connections)  # closes its pool with itself


def connect_listener(url: str) -> redis.Redis:
    """A client for the one subscription; it never tries again by itself, because who listens must hear of a loss."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )


def connect_async(url: str, *, pool: int = 16) -> redis.asyncio.Redis:
    """A client for the worker's loop."""
    connections = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=pool,
        timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        protocol=2,
    )
    return redis.asyncio.Redis.from_pool(connections)  # closes its pool with itself
