"""Presence: a worker that has opened everything says so, for whoever started it.

``df:ready:<worker>``, a string, lives 60 s.
"""

import redis
import redis.asyncio

_LIVE_SECONDS = 60


async def announce(client: redis.asyncio.Redis, worker: str) -> None:
    """Say that this worker is about to take its first message."""
    await client.set(f"df:ready:{worker}", "1", ex=_LIVE_SECONDS)


def is_ready(client: redis.Redis, worker: str) -> bool:
    """Whether that worker has said so within the last minute."""
    return bool(client.exists(f"df:ready:{worker}"))
