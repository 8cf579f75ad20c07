"""Wakeups: one subscription connection per process, fanned out to all that wait.

A message is a doorbell and carries no facts. What must hold: who watches a channel and *then* reads the truth
misses nothing. So ``watch`` returns only when Redis has confirmed the subscription; after a lost connection all
channels are subscribed again and everybody is woken, because something may have been missed meanwhile.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.exceptions import RedisError

from deerflow.errors import Unavailable

log = logging.getLogger(__name__)

_KEEPALIVE = (
    "df:keepalive"  # the connection always has one subscription, so that it exists before the first watcher
)
_CONFIRM_SECONDS = 5.0
_RETRY_SECONDS = 0.2


ROW = b"row"
"""Payload of a ring that means: look at the run's row too. Losing it costs a heartbeat, no more."""


class Watch:
    """One waiter. ``wait`` returns when its channel was rung since the last ``clear``, or after the time-out."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._row_rung = False

    def clear(self) -> bool:
        """Forget the rings so far, before reading the truth; whether one of them meant the row."""
        self._rung.clear()
        row_rung, self._row_rung = self._row_rung, False
        return row_rung

    def wait(self, seconds: float) -> bool:
        """Whether it was rung within that time."""
        return self._rung.wait(seconds)

    def ring(self, payload: object = b"") -> None:
        """Wake this waiter alone, for example because its client has gone."""
        self._row_rung |= payload == ROW
        self._rung.set()


class _Channel:
    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.confirmed = threading.Event()


class Wakeups:
    """The subscriptions of this process; the connection is made by the first watch."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._channels: dict[str, _Channel] = {}
        self._lock = threading.Lock()
        self._pubsub: redis.client.PubSub | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, name: str) -> Iterator[Watch]:
        """Watch a channel for the length of the block; Unavailable when Redis does not confirm it."""
        watch = Watch()
        channel = self._join(name, watch)
        try:
            if not channel.confirmed.wait(_CONFIRM_SECONDS):
                raise Unavailable("The event log does not answer")
            yield watch
        finally:
            self._leave(name, watch)

    def close(self) -> None:
        """End the subscription; waiters are woken once more."""
        self._closing = True
        with self._lock:
            pubsub = self._pubsub
        if pubsub is not None:
            pubsub.close()

    def _join(self, name: str, watch: Watch) -> _Channel:
        with self._lock:
            self._ensure_listening()
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = _Channel()
                self._command("subscribe", name)
            channel.watches.add(watch)
            return channel

    def _leave(self, name: str, watch: Watch) -> None:
        with self._lock:
            channel = self._channels[name]
            channel.watches.discard(watch)
            if not channel.watches:
                del self._channels[name]
                self._command("unsubscribe", name)

    def _command(self, verb: str, name: str) -> None:
        """Send (UN)SUBSCRIBE; while there is no connection the reconnect does it for all channels."""
        if self._pubsub is None:
            return
        try:
            getattr(self._pubsub, verb)(name)
        except (RedisError, OSError):
            log.debug("A subscription could not be changed", extra={"channel": name})

    def _ensure_listening(self) -> None:
        # Started by the first watcher, under the lock: redis-py's PubSub is not safe for a concurrent first use
        # (two connections would be opened and the messages arrive on the one nobody reads).
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="wakeups", daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        while not self._closing:
            try:
                pubsub = self._connect()
                for message in pubsub.listen():  # type: ignore[no-untyped-call]
                    self._hear(message)
            except Exception:  # whatever it is, who waits must not go deaf for it
                if self._closing:
                    break
                log.warning("The wake-up connection was lost; connecting again", exc_info=True)
            self._disconnect()
            threading.Event().wait(_RETRY_SECONDS)
        self._ring_all()

    def _connect(self) -> redis.client.PubSub:
        pubsub: redis.client.PubSub = self._redis.pubsub()  # type: ignore[no-untyped-call]
        pubsub.subscribe(_KEEPALIVE)
        with self._lock:
            self._pubsub = pubsub
            if self._channels:
                pubsub.subscribe(*self._channels)
        return pubsub

    def _disconnect(self) -> None:
        with self._lock:
            pubsub, self._pubsub = self._pubsub, None
            for channel in self._channels.values():
                channel.confirmed.clear()
        if pubsub is not None:
            pubsub.close()

    def _hear(self, message: dict[str, object]) -> None:
        raw = message["channel"]
        name = raw.decode() if isinstance(raw, bytes) else str(raw)
        if message["type"] not in {"subscribe", "message"}:
            return
        with self._lock:
            channel = self._channels.get(name)
            if channel is None:
                return
            if message["type"] == "subscribe":
                channel.confirmed.set()
            waiting = list(channel.watches)
        for watch in waiting:
            watch.ring(message["data"])

    def _ring_all(self) -> None:
        with self._lock:
            for channel in self._channels.values():
                for watch in channel.watches:
                    watch.ring()
