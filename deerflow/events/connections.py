"""Redis clients, sync and async, with time-outs and a bounded pool that waits instead of failing."""

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

_TIMEOUT_SECONDS = 5.0


def connect(url: str, *, pool: int = 32) -> redis.Redis:
    """A client for threads or greenlets; at most *pool* connections (redis-py's default raises when they are used up)."""
    connections = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=pool,
        timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        socket_timeout=_TIMEOUT_SECONDS,
        protocol=2,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), 1),
    )
    return redis.Redis(connection_pool=connections)


def connect_listener(url: str) -> redis.Redis:
    """A client for the one subscription: it waits for messages without a time-out."""
    keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return redis.Redis.from_url(
        url, socket_connect_timeout=_TIMEOUT_SECONDS, socket_timeout=None, protocol=2, **keepalive
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
    return redis.asyncio.Redis(connection_pool=connections)
