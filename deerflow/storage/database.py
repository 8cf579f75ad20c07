"""Database: engine, transactions, ping; the differences of SQLite and Postgres end here.

SQLite: WAL, one writer at a time. A write transaction takes its lock at BEGIN IMMEDIATE, so waiting happens in
one place: there we try again with short sleeps (which gevent turns cooperative) instead of letting the C library
block the whole process. Its ``now_us()`` is the host's clock, which all processes of a SQLite set-up share.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from deerflow.errors import Unavailable
from deerflow.storage.types import dump_json

Tx = sa.Connection
"""An open transaction; storage functions take one and never commit it."""

_LOCK_PATIENCE_SECONDS = 10.0
_LOCK_PAUSE_SECONDS = 0.002


class Database:
    """The app database of one process. ``pool`` is how many connections it keeps at most."""

    def __init__(self, url: str, *, pool: int = 5) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
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
            options["connect_args"] = {"connect_timeout": 5}
            options["pool_pre_ping"] = True
        self.engine = sa.create_engine(
            url, json_serializer=dump_json, json_deserializer=orjson.loads, **options
        )
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A write transaction: commits at the end of the block, rolls back on an exception."""
        with self._connection(write=True) as tx, tx.begin():
            yield tx

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A read-only transaction; on SQLite it never waits for a writer."""
        with self._connection(write=False) as tx, tx.begin():
            yield tx

    def ping(self) -> None:
        """Raise Unavailable when the database does not answer."""
        try:
            with self.read() as tx:
                tx.execute(sa.text("SELECT 1"))
        except DBAPIError as error:
            raise Unavailable(f"The database does not answer: {error.orig}") from error

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _connection(self, *, write: bool) -> Iterator[sa.Connection]:
        try:
            connection = self.engine.connect()
        except (OperationalError, sa.exc.TimeoutError) as error:
            raise Unavailable("The database does not answer") from error
        with connection:
            yield connection.execution_options(
                deerflow_write=write, **({} if write or self.is_sqlite else {"postgresql_readonly": True})
            )


def sqlite_path(url: str) -> Path:
    """The file behind a ``sqlite:///`` URL."""
    return Path(url.removeprefix("sqlite:///"))


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.create_function("now_us", 1, _now_us)
    retry_locked(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _now_us(offset_seconds: float) -> int:
    return time.time_ns() // 1000 + int(offset_seconds * 1_000_000)


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("deerflow_write", True)
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
    retry_locked(lambda: raw.execute("BEGIN IMMEDIATE" if write else "BEGIN"))


def retry_locked(act: Callable[[], object]) -> None:
    """Do *act*, trying again while another process holds SQLite's write lock; Unavailable after 10 s."""
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
            if time.monotonic() > deadline:
                raise Unavailable("The database is busy; try again") from error
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return
