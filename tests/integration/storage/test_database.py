"""Database: transactions, waiting for locks, and outages told as Unavailable."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from deerflow.errors import Unavailable
from deerflow.settings import Settings
from deerflow.storage import database as database_module
from deerflow.storage.database import Database, sqlite_path
from tests.conftest import wait_for
from tests.factories import make_thread
from tests.live import free_port

COUNT = sa.text("SELECT count(*) FROM threads")
LOCK = sa.text("LOCK TABLE threads")
HOLDER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
held.execute("UPDATE assistants SET name = 'held'")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


@pytest.fixture
def sqlite(databases, tmp_path):
    """A migrated SQLite database; for what Postgres does not have."""
    database = Database(databases.fresh("sqlite", tmp_path), pool=2)
    yield database
    database.close()


@pytest.fixture
def postgres(databases, tmp_path):
    """A migrated Postgres database."""
    url = Settings(database_url=databases.fresh("postgres", tmp_path), redis_url="redis://unused").database
    database = Database(url, pool=1)
    yield database
    database.close()


@contextmanager
def write_lock_held(database, *, seconds):
    """Another process holds SQLite's write lock for so long."""
    command = [sys.executable, "-c", HOLDER, str(sqlite_path(database.url)), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            yield
        finally:
            holder.kill()


def test_an_exception_takes_back_what_the_block_has_written(backend):
    with pytest.raises(ZeroDivisionError), backend.db.begin() as tx:  # noqa: PT012
        tx.execute(sa.text("UPDATE assistants SET name = 'changed'"))
        raise ZeroDivisionError
    with backend.db.read() as tx:
        assert tx.scalar(sa.text("SELECT count(*) FROM assistants WHERE name = 'changed'")) == 0


def test_a_read_only_transaction_refuses_to_write_and_leaves_nothing_behind(backend):
    with pytest.raises(sa.exc.DBAPIError), backend.db.read() as tx:
        tx.execute(sa.text("DELETE FROM assistants"))
    make_thread(backend)


def test_a_fault_of_ours_is_not_told_as_an_outage(backend):
    with pytest.raises(sa.exc.DBAPIError), backend.db.read() as tx:
        tx.execute(sa.text("SELECT * FROM no_such_table"))


def test_a_read_does_not_wait_for_a_writer(backend):
    with backend.db.begin() as tx, ThreadPoolExecutor(1) as pool:
        tx.execute(sa.text("UPDATE assistants SET name = 'changed'"))

        def names():
            with backend.db.read() as other:
                return set(other.scalars(sa.text("SELECT name FROM assistants")))

        assert "changed" not in pool.submit(names).result(10)


def test_when_all_connections_are_taken_the_next_one_waits(backend):
    taken = backend.db.engine.pool.size()
    with ThreadPoolExecutor(taken * 3) as pool:
        counts = [pool.submit(make_thread, backend) for _ in range(taken * 3)]
        assert len({made.result(30).thread_id for made in counts}) == taken * 3


def test_a_write_waits_while_another_process_writes(sqlite):
    """scenario 13"""
    with write_lock_held(sqlite, seconds=1.0), sqlite.begin() as tx:
        assert tx.scalar(sa.text("SELECT DISTINCT name FROM assistants")) == "held"


def test_a_write_that_waited_too_long_is_unavailable(sqlite, monkeypatch):
    """scenario 13: and the next one works as if nothing had happened"""
    monkeypatch.setattr(database_module, "_LOCK_PATIENCE_SECONDS", 0.2)
    with write_lock_held(sqlite, seconds=60):
        for _ in range(5):  # more often than the pool has connections: none is lost
            with pytest.raises(Unavailable), sqlite.begin():
                pass
        with sqlite.read() as tx:
            assert tx.scalar(COUNT) == 0
    with sqlite.begin() as tx:
        assert tx.scalar(COUNT) == 0


def test_many_processes_worth_of_writers_lose_no_update(sqlite):
    others = [Database(sqlite.url, pool=1) for _ in range(4)]

    def add(database):
        for _ in range(50):
            with database.begin() as tx:
                tx.execute(sa.text("UPDATE assistants SET version = version + 1"))

    with ThreadPoolExecutor(len(others)) as pool:
        list(pool.map(add, others))
    with sqlite.read() as tx:
        assert tx.scalar(sa.text("SELECT DISTINCT version FROM assistants")) == 1 + 50 * len(others)
    for database in others:
        database.close()


def test_a_database_file_that_is_none_is_unavailable(tmp_path):
    (tmp_path / "no.db").write_bytes(b"this is no database " * 1_000)
    for path in ("no.db", "missing/folder.db"):
        database = Database(f"sqlite:///{tmp_path / path}")
        with pytest.raises(Unavailable):
            database.ping()
        database.close()


def test_a_full_disk_is_unavailable(sqlite):
    with pytest.raises(Unavailable), sqlite.begin() as tx:  # noqa: PT012
        tx.execute(sa.text("PRAGMA max_page_count = 1"))
        for _ in range(10_000):
            tx.execute(sa.text("UPDATE assistants SET name = name || hex(randomblob(10000))"))


def test_connections_to_sqlite_keep_what_the_schema_relies_on(sqlite):
    with sqlite.begin() as tx:
        pragmas = {name: tx.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
    assert sqlite3.threadsafety == 3


def test_a_server_that_is_not_there_is_unavailable():
    database = Database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    with pytest.raises(Unavailable):
        database.ping()
    database.close()


def test_a_connection_cut_in_the_middle_is_unavailable_and_the_next_one_works(postgres):
    """scenario 61"""
    killer = Database(postgres.url, pool=1)
    with pytest.raises(Unavailable), postgres.begin() as tx:  # noqa: PT012
        pid = tx.scalar(sa.text("SELECT pg_backend_pid()"))
        with killer.begin() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        wait_for(lambda: _is_gone(killer, pid), what="the connection's end")
        tx.execute(COUNT)
    postgres.ping()
    killer.close()


def test_a_connection_cut_while_it_was_idle_is_replaced(postgres):
    killer = Database(postgres.url, pool=1)
    with postgres.read() as tx:
        pid = tx.scalar(sa.text("SELECT pg_backend_pid()"))
    with killer.begin() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    wait_for(lambda: _is_gone(killer, pid), what="the connection's end")
    postgres.ping()
    killer.close()


def test_who_stands_still_in_a_transaction_gives_up_its_locks(postgres, monkeypatch):
    """scenario 11: a process that is frozen there holds nobody up who takes over its runs."""
    monkeypatch.setattr(database_module, "POSTGRES_IDLE", "idle_in_transaction_session_timeout = '300ms'")
    frozen = Database(postgres.url, pool=1)
    with pytest.raises(Unavailable), frozen.begin() as tx:  # noqa: PT012
        tx.execute(LOCK)
        with postgres.begin() as other:
            other.execute(LOCK)
        tx.execute(COUNT)
    frozen.ping()
    frozen.close()


def _is_gone(database, pid):
    with database.read() as tx:
        return tx.scalar(sa.text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid}) == 0
