"""A thread's token in a SQLite file: how a claim raises it, and how what is written is held against it."""

import aiosqlite

from deerflow.errors import Fenced
from deerflow.graphs.gate import FENCED

BUSY_SECONDS = 30.0  # waited for on the connection's own thread, so nobody else is held up

# On our connection alone: what this process holds, compared in the very statement that writes.
HELD = """
CREATE TEMP TABLE held (thread_id TEXT PRIMARY KEY, token INTEGER NOT NULL);
CREATE TEMP TRIGGER fence_checkpoints BEFORE INSERT ON main.checkpoints BEGIN
  SELECT RAISE(ABORT, 'fenced') WHERE (SELECT token FROM main.fences WHERE thread_id = NEW.thread_id)
    IS NOT (SELECT token FROM temp.held WHERE thread_id = NEW.thread_id);
END;
CREATE TEMP TRIGGER fence_writes BEFORE INSERT ON main.writes BEGIN
  SELECT RAISE(ABORT, 'fenced') WHERE (SELECT token FROM main.fences WHERE thread_id = NEW.thread_id)
    IS NOT (SELECT token FROM temp.held WHERE thread_id = NEW.thread_id);
END;
"""

RAISE_FENCE = (
    "INSERT INTO fences (thread_id, token) VALUES (:thread, :token) "
    "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token WHERE fences.token < excluded.token"
)
HOLD = """
INSERT OR REPLACE INTO temp.held SELECT thread_id, token FROM fences WHERE thread_id = :thread AND token = :token
"""


async def require_token(connection: aiosqlite.Connection, thread_id: str, token: int) -> None:
    """Raise Fenced unless the thread's token is this one."""
    rows = await connection.execute_fetchall("SELECT token FROM fences WHERE thread_id = ?", (thread_id,))
    if [row[0] for row in rows] != [token]:
        raise Fenced(FENCED)
