"""The Redis server itself, for whoever watches it: which one it is, and how much it holds."""

from dataclasses import dataclass

import redis
from redis.exceptions import RedisError

from deerflow.errors import Unavailable


@dataclass(frozen=True)
class ServerSeen:
    """What a Redis server says of itself. Sizes are bytes."""

    name: str
    version: str
    used: int
    most: int
    """What it may hold; 0: as much as the machine has."""
    policy: str
    """What it does when that is reached; anything but ``noeviction`` loses events."""


class Server:
    """The server that all of this process's keys are on."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def look(self) -> ServerSeen:
        """Ask it; Unavailable when it does not answer."""
        try:
            told = self._redis.info("server", "memory")
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
        return ServerSeen(
            name="Valkey" if "valkey_version" in told else "Redis",
            version=str(told.get("valkey_version") or told.get("redis_version") or ""),
            used=int(told.get("used_memory", 0)),
            most=int(told.get("maxmemory", 0)),
            policy=str(told.get("maxmemory_policy", "")),
        )
