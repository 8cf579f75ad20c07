"""Presence: which workers are alive, for whoever started them and for whoever asks.

``df:workers``, a hash: worker -> JSON ``{"queues": [...], "host": "...", "pid": N, "since": Unix seconds, "at": Unix
seconds, "executing": N, "slots": N}``. A worker renews its field with every lease beat; one that has not for 20 s is
not there.
"""

import os
import socket
import time
from dataclasses import dataclass

import orjson
import redis
from redis.exceptions import RedisError

from deerflow.errors import Unavailable

_WORKERS = "df:workers"
_ALIVE_SECONDS = 20.0


@dataclass(frozen=True)
class WorkerSeen:
    """A living worker. Times are Unix seconds."""

    name: str
    queues: tuple[str, ...]
    host: str
    pid: int
    since: float
    at: float
    executing: int = 0
    """Runs that it executes."""
    slots: int = 0
    """Runs that it could execute at once."""


class Presence:
    """The workers' roll."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._since = time.time()

    def renew(self, worker: str, queues: tuple[str, ...], *, executing: int = 0, slots: int = 0) -> None:
        """Say that this worker lives."""
        said = {
            "queues": queues,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": self._since,
            "at": time.time(),
            "executing": executing,
            "slots": slots,
        }
        self._redis.hset(_WORKERS, worker, orjson.dumps(said))

    def leave(self, worker: str) -> None:
        """Say that it ends; best effort, because its silence says the same."""
        try:
            self._redis.hdel(_WORKERS, worker)
        except RedisError:
            return

    def alive(self) -> list[WorkerSeen]:
        """All living workers; those that have been silent for long are struck off."""
        try:
            said = {_text(name): orjson.loads(told) for name, told in self._redis.hgetall(_WORKERS).items()}
            silent = [name for name, told in said.items() if told["at"] < time.time() - _ALIVE_SECONDS]
            if silent:
                self._redis.hdel(_WORKERS, *silent)
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
        return [
            WorkerSeen(name, tuple(told.pop("queues")), **told) for name, told in said.items() if name not in silent
        ]


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
