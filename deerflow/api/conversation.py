"""The v2 protocol over a WebSocket: commands, subscriptions and events on one connection.

Each subscription is a reader of its own, as each stream over HTTP is; what two of them take is sent twice, and clients
know it by its ``event_id``. A command is asked about as a request is, with the credentials of the handshake: whether
they are still good, how many there were in this minute, what they may do.
"""

import logging
import threading
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

import orjson
from flask import request

from deerflow import identity
from deerflow.api.commands import answer_on_socket, command_in
from deerflow.api.context import backend
from deerflow.api.sockets import FAILED, FORBIDDEN, RESTARTING, TOO_MUCH, Closed, Socket
from deerflow.api.sse import protocol_events
from deerflow.api.wire.protocol import Command, Done, EventStream, Refusal
from deerflow.authz import ask_anew, require
from deerflow.domain.bodies import parsed
from deerflow.domain.protocol import Subscription, Telling, before
from deerflow.errors import BadRequest, DeerflowError, Invalid
from deerflow.identity import principal, still_holds
from deerflow.runtime.attend import Attending
from deerflow.runtime.listening import Heartbeat

log = logging.getLogger(__name__)

_MOST_SUBSCRIPTIONS = 50
_LOST = "Whoever asked may not read this any more"
_NO_JSON = "Protocol commands must be valid JSON."


class Conversation:
    """One socket of one thread's, from the handshake to its close."""

    def __init__(self, thread_id: UUID, socket: Socket) -> None:
        self._thread_id, self._socket = thread_id, socket
        self._backend = backend()
        self._readers: dict[str, Attending] = {}
        self._numbers = count(1)
        self._acts: dict[str, Callable[[Command], None]] = {
            "subscription.subscribe": self._subscribe,
            "subscription.reconnect": self._subscribe,
            "subscription.unsubscribe": self._unsubscribe,
        }

    def hold(self) -> None:
        """Talk until one side closes."""
        try:
            self._listen()
        except Closed:
            log.debug("A socket was closed")
        except Exception:  # nobody is there to hear it but the log
            log.exception("A socket has failed")
            self._socket.close(FAILED, "The server has failed")
        finally:
            for reader in list(self._readers.values()):
                reader.interrupt()
            self._socket.finish()

    def _listen(self) -> None:
        holds, seconds = still_holds(), self._backend.rules.heartbeat_seconds
        while True:
            said = self._socket.receive(seconds)
            if self._backend.wakeups.ending:
                return self._socket.close(RESTARTING, "This web process is being stopped")
            if not holds():
                return self._socket.close(FORBIDDEN, _LOST)
            if self._socket.is_flooded:
                return self._socket.close(TOO_MUCH, "Too many messages at once")
            if said is not None:
                self._hear(said)

    def _hear(self, said: str | bytes) -> None:
        try:
            sent = parsed(said if isinstance(said, bytes) else said.encode())
        except Invalid:
            return self._answer(Refusal(id=None, error="invalid_argument", message=_NO_JSON))
        asked = command_in(sent)
        if isinstance(asked, Refusal):
            return self._answer(asked)
        act = self._acts.get(asked.method)
        try:
            identity.identify(request)
            ask_anew(request)
            if act is not None:
                require("runs:read", body=dict)
        except DeerflowError as error:
            return self._answer(Refusal(id=asked.id, error="unknown_error", message=str(error)))
        return act(asked) if act is not None else self._answer(answer_on_socket(asked, sent, self._thread_id))

    def _answer(self, answer: Done | Refusal) -> None:
        self._socket.send(orjson.dumps(answer.model_dump()))

    def _subscribe(self, asked: Command) -> None:
        """Answer, then tell: what has been said, and what is said from now on."""
        try:
            wanted = EventStream.parse(asked.params or {}).wanted()
        except (BadRequest, Invalid) as error:
            return self._answer(Refusal(id=asked.id, error="invalid_argument", message=str(error)))
        if len(self._readers) >= _MOST_SUBSCRIPTIONS:
            told = f"A connection has at most {_MOST_SUBSCRIPTIONS} subscriptions; open another one"
            return self._answer(Refusal(id=asked.id, error="invalid_argument", message=told))
        self._unsubscribe_from((asked.params or {}).get("subscription_id"))
        subscription_id = f"sub-{next(self._numbers)}"
        reader = self._reader(before(wanted.since))
        self._readers[subscription_id] = reader
        self._answer(Done(id=asked.id, result={"subscription_id": subscription_id, "replayed_events": 0}))
        threading.Thread(
            target=self._tell, args=(subscription_id, reader, wanted), name="subscription", daemon=True
        ).start()
        return None

    def _reader(self, after: Any) -> Attending:
        return Attending(self._backend, principal(), self._thread_id, after=after, still_holds=still_holds())

    def _unsubscribe(self, asked: Command) -> None:
        if not self._unsubscribe_from((asked.params or {}).get("subscription_id")):
            told = "subscription_id: this connection has no such subscription"
            return self._answer(Refusal(id=asked.id, error="invalid_argument", message=told))
        return self._answer(Done(id=asked.id, result={}))

    def _unsubscribe_from(self, subscription_id: object) -> bool:
        reader = self._readers.pop(subscription_id, None) if isinstance(subscription_id, str) else None
        if reader is not None:
            reader.interrupt()
        return reader is not None

    def _tell(self, subscription_id: str, reader: Attending, wanted: Subscription) -> None:
        """Tell a subscriber everything, in a thread of its own."""
        telling = Telling()
        try:
            for step in reader:
                if isinstance(step, Heartbeat):
                    continue
                for event in protocol_events(telling, step, wanted):
                    self._socket.send(event.envelope())
            if reader.refused:
                self._socket.close(FORBIDDEN, _LOST)
            elif self._backend.wakeups.ending:
                self._socket.close(RESTARTING, "This web process is being stopped")
        except Closed:
            log.debug("A subscriber has gone")
        except Exception:  # nobody is there to hear it but the log
            log.exception("A subscription has failed")
            self._socket.close(FAILED, "The server has failed")
        finally:
            self._readers.pop(subscription_id, None)
