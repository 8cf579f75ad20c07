"""Standing: whether callers whose answers are still open may go on reading.

A key is revoked, a session ended, a user disabled while their streams are open. So every open answer asks again once a
heartbeat, and one look at the database answers for all that this process has open. While the database is away nobody
is sent away for it. Callers whom the project's handlers name are asked about there (``handlers.still_holds``).
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import Unavailable
from deerflow.storage import keys, sessions, users
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_FORGET_SECONDS = 60.0
_AT_ONCE = 200
"""In between, others have their turn."""

_Credential = tuple[Proof, UUID]

_GOOD: dict[Proof, Callable[[Tx, Collection[UUID]], set[UUID]]] = {
    Proof.KEY: keys.good,
    Proof.SESSION: sessions.good,
    Proof.HEADER: users.enabled,
}
"""Which of these keys, sessions or users are still good. Every proof that a row can take back is here."""


@dataclass
class _Known:
    """What is known of one credential; the times are of ``time.monotonic``."""

    asked: float
    looked: float
    good: bool = True


class Standing:
    """The credentials behind the open answers of one process."""

    def __init__(self, *, look_seconds: float = _LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._known: dict[_Credential, _Known] = {}
        self._forget_at = 0.0
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    def question(self, backend: Backend, caller: Principal) -> Callable[[], bool]:
        """What an answer of this caller, who was identified just now, asks as long as it is open."""
        credential = _credential(caller)
        if credential is None:
            return _always
        now = time.monotonic()
        with self._lock:
            self._forget(now)  # answers that end before their first heartbeat ask nothing
            self._known.setdefault(credential, _Known(0.0, now)).asked = now
        return lambda: self._holds(backend, credential)

    def _holds(self, backend: Backend, credential: _Credential) -> bool:
        now = time.monotonic()
        with self._lock:
            known = self._known.setdefault(credential, _Known(now, -self._look_seconds))
            known.asked = now
        # Whoever comes while another looks goes by what was seen the last time.
        if now - known.looked >= self._look_seconds and self._looking.acquire(blocking=False):
            try:
                self._look(backend)
            except Unavailable:
                log.debug("Open answers go on unasked while the database is away")
            finally:
                self._looking.release()
        return known.good

    def _look(self, backend: Backend) -> None:
        """Look once for all credentials that somebody has asked about lately, and forget the others."""
        started = time.monotonic()
        for proof, ids in self._asked_lately():
            with backend.db.read() as tx:
                good = _GOOD[proof](tx, ids)
            with self._lock:
                for each in ids:
                    if (known := self._known.get((proof, each))) is not None:
                        known.good, known.looked = each in good, started

    def _forget(self, now: float) -> None:
        """Forget, now and then, those about whom nobody has asked lately."""
        if now >= self._forget_at:
            self._known = {each: known for each, known in self._known.items() if known.asked >= now - _FORGET_SECONDS}
            self._forget_at = now + _FORGET_SECONDS

    def _asked_lately(self) -> Iterator[tuple[Proof, list[UUID]]]:
        with self._lock:
            self._forget_at = 0.0
            self._forget(time.monotonic())
            by_proof: defaultdict[Proof, list[UUID]] = defaultdict(list)
            for proof, each in self._known:
                by_proof[proof].append(each)
        for proof, ids in by_proof.items():
            for start in range(0, len(ids), _AT_ONCE):
                yield proof, ids[start : start + _AT_ONCE]


def _credential(caller: Principal) -> _Credential | None:
    """What of a caller can be taken back; None when nothing can."""
    if caller.proof not in _GOOD:
        return None
    about = parse_id(caller.user_id) if caller.proof is Proof.HEADER else caller.credential
    return None if about is None else (caller.proof, about)


def _always() -> bool:
    return True
