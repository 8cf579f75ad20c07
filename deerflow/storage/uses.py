"""Uses: notes when keys and sessions were last used; soon, in a thread of its own, and never in the way of a request.

SQLite has one writer, and a request that only reads must neither wait for it nor fail because of it. So a use is noted
beside the request, once a minute at most by each process, many in one transaction. One that cannot be written is
lost; the next minute has another.
"""

import logging
import threading
import time
from collections.abc import Callable
from uuid import UUID

from deerflow.errors import Unavailable
from deerflow.storage.database import Database, Tx

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 60.0
_STOP_SECONDS = 2.0
_AT_ONCE = 100


class Uses:
    """The uses that one process has to note. Its thread is there only while there are some."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._noted: dict[UUID, float] = {}
        self._waiting: dict[UUID, Callable[[Tx], object]] = {}
        self._thread: threading.Thread | None = None

    def note(self, credential: UUID, act: Callable[[Tx], object]) -> None:
        """Do *act* soon, unless it was done for this key or session within the last minute."""
        now = time.monotonic()
        if now - self._noted.get(credential, -_PAUSE_SECONDS) < _PAUSE_SECONDS:
            return
        with self._lock:
            self._noted[credential] = now
            self._waiting[credential] = act
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_all, name="uses", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Wait until all is written that was noted, if that does not take long."""
        thread = self._thread
        if thread is not None:
            thread.join(_STOP_SECONDS)

    def _write_all(self) -> None:
        while acts := self._take():
            try:
                with self._db.begin() as tx:
                    for act in acts:
                        act(tx)
            except Unavailable:
                log.debug("The last use of some keys and sessions was not noted: the database is away or busy")
            except Exception:  # a thread that ends by one would note nothing any more
                log.exception("The last use of some keys and sessions was not noted")

    def _take(self) -> list[Callable[[Tx], object]]:
        """Some of what waits; in the same order in every process, so that no two lock each other out."""
        with self._lock:
            chosen = sorted(self._waiting)[:_AT_ONCE]
            if not chosen:
                self._thread = None
                since = time.monotonic() - _PAUSE_SECONDS
                self._noted = {each: at for each, at in self._noted.items() if at > since}
            return [self._waiting.pop(each) for each in chosen]
