"""Answers: how a state worker's reply reaches the process that asked.

``df:answer:<question id>``, a string, JSON, lives 60 s; a message on the channel of the same name wakes who waits.
"""

from typing import Any
from uuid import UUID

import orjson
import redis
import redis.asyncio
from redis.exceptions import RedisError

from deerflow.errors import Unavailable

_LIVE_SECONDS = 60


def channel(question_id: UUID) -> str:
    """Key of an answer, and the channel that tells of it."""
    return f"df:answer:{question_id}"


class Answers:
    """Replies, read by those who asked."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def channel(self, question_id: UUID) -> str:
        """What to watch for a question's answer."""
        return channel(question_id)

    def take(self, question_id: UUID) -> dict[str, Any] | None:
        """The answer, or None as long as there is none."""
        try:
            stored = self._redis.get(channel(question_id))
        except RedisError as error:
            raise Unavailable("The event log does not answer") from error
        return orjson.loads(stored) if stored is not None else None


async def give(client: redis.asyncio.Redis, question_id: UUID, answer: bytes) -> None:
    """Store an answer and wake who waits for it."""
    pipe = client.pipeline(transaction=False)
    pipe.set(channel(question_id), answer, ex=_LIVE_SECONDS)
    pipe.publish(channel(question_id), "")
    await pipe.execute()
