"""Everything that is stored of a thread, row by row, for tests that say that nothing has changed."""

import sqlite3
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.live import Live

_SQLITE = ("checkpoints", "writes")
_POSTGRES = ("langgraph.checkpoints", "langgraph.checkpoint_writes", "langgraph.checkpoint_blobs")
_THREAD = "SELECT status, resting, metadata, config, {values}, interrupts, error, state_updated_at FROM threads"


def stored(live: Live, thread: str) -> dict[str, list[str]]:
    """All rows of a thread's checkpoints, writes and blobs, its own row but for ``updated_at``, and its runs."""
    return _of_postgres(live.database_url, thread) if live.database_url else _of_sqlite(live, thread)


def seen(live: Live, thread: str) -> dict[str, Any]:
    """What clients see of it: state with subgraphs, and history."""
    http = live.http()
    shown = {
        "state": http.get(f"/threads/{thread}/state?subgraphs=true").json(),
        "history": http.post(f"/threads/{thread}/history", json={"limit": 100}).json(),
        "thread": http.get(f"/threads/{thread}").json(),
    }
    del shown["thread"]["updated_at"]
    return shown


def _of_sqlite(live: Live, thread: str) -> dict[str, list[str]]:
    data = live.folder / "data"
    found: dict[str, list[str]] = {}
    with sqlite3.connect(data / "deerflow-checkpoints.db") as connection:
        for table in _SQLITE:
            rows = connection.execute(f"SELECT * FROM {table} WHERE thread_id = ?", (thread,)).fetchall()
            found[table] = sorted(map(repr, rows))
    connection.close()
    with sqlite3.connect(data / "deerflow.db") as connection:
        key = thread.replace("-", "")
        row = connection.execute(_THREAD.format(values='"values"') + " WHERE thread_id = ?", (key,)).fetchall()
        runs = connection.execute("SELECT run_id, status FROM runs WHERE thread_id = ?", (key,)).fetchall()
    connection.close()
    return found | {"thread": [repr(row)], "runs": sorted(map(repr, runs))}


def _of_postgres(url: str, thread: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for table in _POSTGRES:
            rows = connection.execute(f"SELECT * FROM {table} WHERE thread_id = %s", (thread,)).fetchall()
            found[table] = sorted(map(repr, rows))
        row = connection.execute(_THREAD.format(values='"values"') + " WHERE thread_id = %s", (thread,)).fetchall()
        runs = connection.execute("SELECT run_id, status FROM runs WHERE thread_id = %s", (thread,)).fetchall()
    return found | {"thread": [repr(row)], "runs": sorted(map(repr, runs))}
