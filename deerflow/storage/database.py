"""Database: engine, transactions, ping; the differences of SQLite and Postgres end here.

SQLite: WAL, one writer at a time. A write transaction takes its lock at BEGIN IMMEDIATE, so waiting happens in
one place: there we try again with short sleeps (which gevent turns cooperative) instead of letting the C library
block the whole process. Its ``now_us()`` is the host's clock, which all processes of a SQLite set-up share.
"""

import math
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from deerflow.errors import Unavailable
from deerflow.settings import POSTGRES_IDLE, POSTGRES_PATIENCE
from deerflow.storage.models import metadata
from deerflow.storage.types import dump_json, holds, load_json

Tx = sa.Connection
"""An open transaction; storage functions take one and never commit it."""

_LOCK_PATIENCE_SECONDS = 10.0
_LOCK_PAUSE_SECONDS = 0.002

_UNDEFINED_TABLE = "42P01"
_REPLACED = "\ufffd"  # what was a NUL is stored as an escape, other ones as they are

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_OUTAGES = _SQLITE_BUSY | {
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes where the database is to blame; the others are faults of ours."""


class Database:
    """The app database of one process. ``pool`` is how many connections it keeps at most."""

    def __init__(self, url: str, *, pool: int = 5) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._is_away = False
        self._back_at = -math.inf
        options: dict[str, Any] = {
            "pool_size": pool,
            "max_overflow": 0,
            "pool_timeout": _LOCK_PATIENCE_SECONDS,
        }
        if self.is_sqlite:
            # timeout=0: never wait inside the C library, see the module's docstring.
            options["connect_args"] = {"timeout": 0, "check_same_thread": False}
            options["poolclass"] = sa.QueuePool
        else:
            options["connect_args"] = POSTGRES_PATIENCE
            options["pool_pre_ping"] = True
        self.engine = sa.create_engine(url, json_serializer=dump_json, json_deserializer=load_json, **options)
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(self.engine, "connect", _prepare_postgres)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A write transaction: commits at the end of the block, rolls back on an exception.

        Raises Unavailable, also in the middle of the block, when the database is away, busy or full.
        """
        with self._outages_told(), self._connection(write=True) as tx, tx.begin():
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A read-only transaction; on SQLite it never waits for a writer. Raises Unavailable as ``begin`` does."""
        with self._outages_told(), self._connection(write=False) as tx, tx.begin():
            yield tx

    def seconds_since_outage(self) -> float:
        """For how long it has answered this process since it last did not; infinity when it always has."""
        return 0.0 if self._is_away else time.monotonic() - self._back_at

    def ping(self) -> None:
        """Raise Unavailable when the database does not answer."""
        with self.read() as tx:
            tx.execute(sa.text("SELECT 1"))

    def version(self) -> str:
        """Which database it is: ``SQLite 3.46.1``."""
        asked = "SELECT sqlite_version()" if self.is_sqlite else "SHOW server_version"
        with self.read() as tx:
            number = str(tx.scalar(sa.text(asked))).split(" ")[0]
        return f"{'SQLite' if self.is_sqlite else 'PostgreSQL'} {number}"

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _outages_told(self) -> Iterator[None]:
        """Raise Unavailable for what is the database's fault, and every other error as it is."""
        try:
            yield
        except (sa.exc.TimeoutError, DBAPIError, sqlite3.Error) as error:
            if _lacks_table(error):
                raise Unavailable(
                    "The database's schema is older than this release: flask --app app db upgrade"
                ) from error
            if not _is_outage(error):
                raise
            self._is_away = True
            raise Unavailable("The database does not answer") from error
        except Unavailable:  # the lock of SQLite was not to be had
            self._is_away = True
            raise
        if self._is_away:
            self._is_away, self._back_at = False, time.monotonic()

    @contextmanager
    def _connection(self, *, write: bool) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection.execution_options(
                deerflow_write=write, **({} if write or self.is_sqlite else {"postgresql_readonly": True})
            )


def _is_outage(error: Exception) -> bool:
    """Whether the database is away, busy or full, or all of our connections to it are taken."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _primary_code(cause) in _SQLITE_OUTAGES
    return isinstance(error, OperationalError | sa.exc.TimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _lacks_table(error: Exception) -> bool:
    """Whether a table of ours is not there yet: this release runs before its migrations have."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lacks = getattr(cause, "sqlstate", None) == _UNDEFINED_TABLE or str(cause).startswith("no such table: ")
    return lacks and not metadata.tables.keys().isdisjoint(re.findall(r"\w+", str(cause).splitlines()[0]))


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def sqlite_path(url: str) -> Path:
    """The file behind a ``sqlite:///`` URL."""
    return Path(url.removeprefix("sqlite:///"))


def _prepare_postgres(connection: Any, _record: Any) -> None:
    connection.autocommit = True
    connection.execute(f"SET {POSTGRES_IDLE}")
    connection.autocommit = False


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.create_function("now_us", 1, _now_us)
    connection.create_function("json_contains", 2, _json_contains, deterministic=True)
    connection.create_function("has_text", 2, _has_text, deterministic=True)
    _retry_locked(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _json_contains(there: str | float | None, wanted: str) -> bool:
    parsed, written = _read_once(wanted)
    # To look for the texts alone is ten times as fast as to read a thread's values, and few have them.
    return there is not None and all(text in str(there) for text in written) and holds(load_json(there), parsed)


def _has_text(there: str | None, wanted: str) -> bool:
    return there is not None and wanted in there.lower()


@lru_cache(maxsize=64)
def _read_once(wanted: str) -> tuple[Any, list[str]]:
    """What is wanted, and the texts in it as ``dump_json`` writes them, as it has what is stored."""
    parsed = orjson.loads(wanted)
    return parsed, [dump_json(text) for text in _texts(parsed) if _REPLACED not in text]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value:
            yield from _texts(part)
        for part in value.values() if isinstance(value, dict) else ():
            yield from _texts(part)


def _now_us(offset_seconds: float) -> int:
    return time.time_ns() // 1000 + int(offset_seconds * 1_000_000)


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("deerflow_write", True)
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
    if write:
        _retry_locked(lambda: raw.execute("BEGIN IMMEDIATE"))
        return
    raw.execute("BEGIN")
    # The first look takes the snapshot. It can find the file locked, too: while another process recovers the WAL
    # after a crash, or removes it as the last one to close it.
    _retry_locked(lambda: raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall())


def _retry_locked(act: Callable[[], object]) -> None:
    """Do *act*, trying again while another process holds SQLite's lock; Unavailable after 10 s."""
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if _primary_code(error) not in _SQLITE_BUSY:
                raise
            if time.monotonic() > deadline:
                raise Unavailable("The database is busy; try again") from error
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return
