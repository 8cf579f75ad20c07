"""Tally: how many runs have ended, by how. For whoever watches the server; nothing depends on it.

``df:ended``, a hash: status -> how often, since Redis has been there. A count that is lost is not made up for.
"""

import logging

import redis
from redis.exceptions import RedisError

from deerflow.domain.runs import INFLIGHT
from deerflow.domain.words import RunStatus
from deerflow.errors import Unavailable

log = logging.getLogger(__name__)

_ENDED = "df:ended"

ENDS = tuple(status for status in RunStatus if status not in INFLIGHT)


class Tally:
    """The counters."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def ended(self, status: RunStatus) -> None:
        """Count a run that has ended."""
        try:
            self._redis.hincrby(_ENDED, status.value, 1)
        except RedisError:
            log.debug("The end of a run was not counted", exc_info=True)

    def all(self) -> dict[RunStatus, int]:
        """How many there were, of every status that is an end."""
        try:
            found = self._redis.hgetall(_ENDED)
        except RedisError as error:
            raise Unavailable("Redis does not answer") from error
        return {status: int(found.get(status.value.encode(), 0)) for status in ENDS}
