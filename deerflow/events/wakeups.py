"""Wakeups: one subscription connection per process, fanned out to all that wait.

A message is a doorbell and carries no facts. What must hold: who watches a channel and *then* reads the truth
misses nothing. So ``watch`` returns only when Redis has confirmed the subscription; after a lost connection all
channels are subscribed again and everybody is woken, because something may have been missed meanwhile.

The connection is used directly, not through redis-py's PubSub: that one connects again behind our back in
whichever thread meets the loss, and two that meet it at once leave messages on a socket that nobody reads.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.connection import Connection
from redis.exceptions import RedisError

from deerflow.errors import Unavailable

log = logging.getLogger(__name__)

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
        if not self._row_rung:  # written only when it was set: a ring that comes between the two is not wiped out
            return False
        self._row_rung = False
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it was rung within that time."""
        return self._rung.wait(seconds)

    def ring(self, payload: object = b"") -> None:
        """Wake this waiter alone, for example because its client has gone."""
        if payload == ROW:
            self._row_rung = True
        self._rung.set()


class _Channel:
    def __init__(self) -> None:
        self.watches: set[Watch] = set()
        self.confirmed = threading.Event()


class Wakeups:
    """The subscriptions of this process; the connection is made by the first watch."""

    def __init__(self, client: redis.Redis) -> None:
        self.ending = False
        """Whether this process has been told to stop: who waits for something that may take long waits no longer."""
        self._redis = client
        self._channels: dict[str, _Channel] = {}
        # Guards the channels and what is sent: subscriptions leave in the order in which watchers come and go.
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, name: str, by: Watch | None = None) -> Iterator[Watch]:
        """Watch a channel for the length of the block; Unavailable when Redis does not confirm it.

        *by*: a watch that another channel has already, so that one waiter hears both.
        """
        watch = by or Watch()
        channel = self._join(name, watch)
        try:
            if not channel.confirmed.wait(_CONFIRM_SECONDS):
                raise Unavailable("The event log does not answer")
            yield watch
        finally:
            self._leave(name, watch)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(channel.watches) for channel in list(self._channels.values()))

    def end_waits(self) -> None:
        """Wake all that wait, as this process is told to stop; what they waited for is there for the next one."""
        self.ending = True  # before the rings: who comes too late for them sees it
        self._ring_all()

    def close(self) -> None:
        """End the subscription; waiters are woken once more."""
        self._closing.set()
        with self._lock:
            connection, thread = self._connection, self._thread
        if connection is not None:
            connection.disconnect()  # type: ignore[no-untyped-call]
        if thread is not None:
            thread.join()
        self._redis.close()

    def _join(self, name: str, watch: Watch) -> _Channel:
        with self._lock:
            self._ensure_listening()
            channel = self._channels.get(name)
            if channel is None:
                channel = self._channels[name] = _Channel()
                self._send("SUBSCRIBE", name)
            channel.watches.add(watch)
            return channel

    def _leave(self, name: str, watch: Watch) -> None:
        with self._lock:
            channel = self._channels[name]
            channel.watches.discard(watch)
            if not channel.watches:
                del self._channels[name]
                self._send("UNSUBSCRIBE", name)

    def _ensure_listening(self) -> None:
        if self._closing.is_set():
            raise Unavailable("This process is stopping")
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="wakeups", daemon=True)
            self._thread.start()

    def _send(self, *command: str) -> None:
        """Send under the lock; while there is no connection nothing is lost: the next one subscribes everything."""
        if self._connection is None:
            return
        try:
            self._connection.send_command(*command, check_health=False)  # type: ignore[no-untyped-call]
        except RedisError:
            self._connection = None  # it has closed itself, which the listener notices

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                connection: Connection = self._redis.connection_pool.get_connection()
                try:
                    self._hear_all(connection)
                finally:
                    self._drop(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits must not go deaf for it
                if not self._closing.is_set():
                    log.warning("The wake-up connection was lost; connecting again", extra={"reason": repr(error)})
            self._closing.wait(_RETRY_SECONDS)
        self._ring_all()

    def _hear_all(self, connection: Connection) -> None:
        """Subscribe everything and hear what comes. A silent connection is asked for a sign of life."""
        with self._lock:
            self._connection = connection
            if self._channels:
                self._send("SUBSCRIBE", *self._channels)
        asked = False
        while not self._closing.is_set():
            try:
                message = connection.read_response(disconnect_on_error=False)
            except redis.exceptions.TimeoutError:
                if asked:
                    raise
                with self._lock:
                    self._send("PING")
                asked = True
            else:
                asked = False
                self._hear(message)

    def _drop(self, connection: Connection) -> None:
        with self._lock:
            self._connection = None
            for channel in self._channels.values():
                channel.confirmed.clear()
        connection.disconnect()  # type: ignore[no-untyped-call]
        self._redis.connection_pool.release(connection)

    def _hear(self, message: object) -> None:
        """Ring for ``[b"message", channel, payload]``, and for ``subscribe``: before it much may be missed."""
        if not isinstance(message, list) or message[0] not in {b"subscribe", b"message"}:
            return
        kind, name, payload = message
        with self._lock:
            channel = self._channels.get(name.decode())
            if channel is None:
                return
            if kind == b"subscribe":
                channel.confirmed.set()
            waiting = list(channel.watches)
        for watch in waiting:
            watch.ring(ROW if kind == b"subscribe" else payload)

    def _ring_all(self) -> None:
        with self._lock:
            for channel in self._channels.values():
                for watch in channel.watches:
                    watch.ring()
