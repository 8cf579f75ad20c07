"""The checkpoint store in a SQLite file: one connection for all runs of the process, one more for the store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore

from deerflow.domain.ids import time_of_checkpoint
from deerflow.domain.threads import StoredHead
from deerflow.errors import Fenced
from deerflow.graphs.embedding import Embedding
from deerflow.graphs.gate import FENCED, Gate
from deerflow.graphs.gated import Gated
from deerflow.graphs.sqlite_cursors import Connection
from deerflow.graphs.sqlite_fences import BUSY_SECONDS, HELD, HOLD, RAISE_FENCE, require_token
from deerflow.graphs.sqlite_items import Items, open_items, set_up_items
from deerflow.graphs.stores import Holder, OwnedStore, Pace
from deerflow.project import Store, StoreIndex

_TABLES = """
CREATE TABLE IF NOT EXISTS fences (thread_id TEXT PRIMARY KEY, token INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS kept_heads (
  thread_id TEXT NOT NULL, run_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
  PRIMARY KEY (thread_id, run_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE IF NOT EXISTS kept_writes (
  thread_id TEXT NOT NULL, run_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
  task_id TEXT NOT NULL, task_path TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
  PRIMARY KEY (thread_id, run_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
"""

_NOT_NEWER = "thread_id = :thread AND (SELECT token FROM fences WHERE thread_id = :thread) = :token"
_FORGET_KEPT = tuple(
    f"DELETE FROM {table} WHERE thread_id = :thread AND run_id IS NOT :run"  # noqa: S608 - our words
    for table in ("kept_heads", "kept_writes")
)
_LOOK = """
SELECT (SELECT coalesce(max(checkpoint_id), '') FROM checkpoints WHERE thread_id = :thread),
  EXISTS (SELECT 1 FROM kept_heads WHERE thread_id = :thread AND run_id IS NOT :run)
"""
_COLUMNS = "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"
_KEEP_HEAD = """
INSERT OR IGNORE INTO kept_heads (thread_id, run_id, checkpoint_ns, checkpoint_id)
SELECT :thread, :run, :ns, :id WHERE NOT EXISTS (
  SELECT 1 FROM checkpoints WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id
    AND run_of(metadata) = :run)
"""
_KEEP_WRITES = f"""
INSERT INTO kept_writes (thread_id, run_id, {_COLUMNS})
SELECT thread_id, :run, {_COLUMNS} FROM writes
WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id = :id
"""  # noqa: S608 - our words
# The search for the id as text is quick, and lets few rows through to the function that reads the JSON.
_OF_RUN = "thread_id = :thread AND instr(metadata, CAST(:run AS BLOB)) AND run_of(metadata) = :run"
_DROP_OWN_WRITES = f"""
DELETE FROM writes WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN
  (SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE {_OF_RUN})
"""  # noqa: S608 - our words
_DROP_OWN_CHECKPOINTS = f"DELETE FROM checkpoints WHERE {_OF_RUN}"  # noqa: S608 - our words
_DROP_WRITES_OF_KEPT = """
DELETE FROM writes WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN
  (SELECT checkpoint_ns, checkpoint_id FROM kept_heads WHERE thread_id = :thread AND run_id = :run)
"""
_PUT_BACK = f"""
INSERT INTO writes (thread_id, {_COLUMNS})
SELECT thread_id, {_COLUMNS} FROM kept_writes WHERE thread_id = :thread AND run_id = :run
"""  # noqa: S608 - our words
_ROLL_BACK = (
    _DROP_OWN_WRITES,
    _DROP_OWN_CHECKPOINTS,
    _DROP_WRITES_OF_KEPT,
    _PUT_BACK,
    "DELETE FROM kept_heads WHERE thread_id = :thread AND run_id = :run",
    "DELETE FROM kept_writes WHERE thread_id = :thread AND run_id = :run",
)

_HEAD = """
SELECT c.metadata, (SELECT min(checkpoint_id) FROM checkpoints WHERE thread_id = :thread), c.checkpoint_id,
  EXISTS (SELECT 1 FROM writes w WHERE w.thread_id = :thread AND w.checkpoint_ns = c.checkpoint_ns
    AND w.checkpoint_id = c.checkpoint_id AND w.channel = :interrupt)
FROM checkpoints c WHERE c.thread_id = :thread AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC LIMIT 1
"""
_OF_CHECKPOINTS = "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_COPY = (
    f"""
INSERT OR IGNORE INTO checkpoints (thread_id, {_OF_CHECKPOINTS})
SELECT :thread, {_OF_CHECKPOINTS} FROM checkpoints WHERE thread_id = :source
""",  # noqa: S608 - our words
    f"""
INSERT OR IGNORE INTO writes (thread_id, {_COLUMNS}) SELECT :thread, {_COLUMNS} FROM writes WHERE thread_id = :source
""",  # noqa: S608 - our words
    "DELETE FROM temp.held WHERE thread_id = :thread AND token = :token",
)
_HAS_DELTAS = """
SELECT EXISTS (SELECT 1 FROM checkpoints WHERE thread_id = :thread
  AND instr(metadata, CAST('"counters_since_delta_snapshot"' AS BLOB)))
"""
_GONE = "thread_id = :thread AND (checkpoint_ns, checkpoint_id) NOT IN \
(SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = :thread)"
_PRUNE = (
    """
DELETE FROM checkpoints WHERE thread_id = :thread AND checkpoint_id <
  (SELECT max(k.checkpoint_id) FROM checkpoints k
   WHERE k.thread_id = :thread AND k.checkpoint_ns = checkpoints.checkpoint_ns)
""",
    """
DELETE FROM checkpoints WHERE thread_id = :thread AND instr(checkpoint_ns, ':') AND root_of(metadata) IS NOT NULL
  AND root_of(metadata) NOT IN (SELECT checkpoint_id FROM checkpoints WHERE thread_id = :thread AND checkpoint_ns = '')
""",
    "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = :thread",
    *(f"DELETE FROM {table} WHERE {_GONE}" for table in ("writes", "kept_heads", "kept_writes")),  # noqa: S608
)


def _run_of(metadata: bytes | str | None) -> str | None:
    """The run that a checkpoint's metadata names. SQLite's own JSON is stricter than what the saver writes (NaN)."""
    named = _told(metadata).get("run_id")
    return named if isinstance(named, str) else None


def _root_of(metadata: bytes | str | None) -> str | None:
    """The root graph's checkpoint from which a subgraph's call began."""
    named = (_told(metadata).get("parents") or {}).get("")
    return named if isinstance(named, str) else None


def _told(metadata: bytes | str | None) -> dict[str, Any]:
    try:
        return dict(json.loads(metadata or "{}"))
    except ValueError:
        return {}


class _WholeSaver(AsyncSqliteSaver):
    """A write that is refused leaves no transaction open: it would hold SQLite's lock against every other process."""

    async def aput(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Store a checkpoint, or nothing."""
        async with self.whole():
            return await super().aput(*args, **kwargs)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """Store a node's writes, or none of them."""
        async with self.whole():
            await super().aput_writes(*args, **kwargs)

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            async with self.lock:
                await self.conn.rollback()
            raise


class _Saver(Gated, _WholeSaver):
    thread_id: str

    async def keep(self, checkpoint_ns: str, checkpoint_id: str) -> None:
        facts = {"thread": self.thread_id, "run": self.run_id, "ns": checkpoint_ns, "id": checkpoint_id}
        async with self.whole(), self.lock:
            async with self.conn.execute(_KEEP_HEAD, facts) as kept:
                is_new = kept.rowcount == 1
            if is_new:
                await self.conn.execute(_KEEP_WRITES, facts)
            await self.conn.commit()


_S = TypeVar("_S", bound=AsyncSqliteSaver)


class _Savers:
    """One connection for the whole process, so one lock too: its statements share one transaction."""

    def __init__(self, connection: aiosqlite.Connection, store: Items) -> None:
        self._connection = connection
        self._store = store
        self._pace = Pace(store.asked.sweep_interval_minutes)
        self._lock = asyncio.Lock()
        self._for_savers = cast("aiosqlite.Connection", Connection(connection))
        self._reader = self._share(AsyncSqliteSaver(self._for_savers))

    def reader(self) -> BaseCheckpointSaver[Any]:
        return self._reader

    def store(self, owner: str) -> BaseStore:
        return OwnedStore(self._store, owner)

    def store_for_run(self, owner: str, thread_id: UUID, token: int, gate: Gate) -> BaseStore:
        return OwnedStore(self._store, owner, Holder(str(thread_id), token, gate))

    async def for_run(
        self, thread_id: UUID, token: int, gate: Gate, *, run_id: UUID | None = None
    ) -> BaseCheckpointSaver[Any]:
        key, run = str(thread_id), str(run_id) if run_id else None
        facts = {"thread": key, "run": run, "token": token}

        async def take() -> str:  # every statement is a way to the connection's thread and back
            async with self._transaction() as connection:
                await connection.execute(RAISE_FENCE, facts)
                held = await connection.execute(HOLD, facts)
                if held.rowcount == 0:
                    raise Fenced(FENCED)
                ((newest, others_kept),) = await connection.execute_fetchall(_LOOK, facts)
                for statement in _FORGET_KEPT if others_kept else ():
                    await connection.execute(statement, facts)
                return str(newest)

        newest = await gate.write(take)
        saver = self._share(_Saver(self._for_savers))
        saver.gate, saver.thread_id, saver.run_id, saver.newest = gate, key, run, newest
        return saver

    async def roll_back(self, thread_id: UUID, token: int, run_id: UUID) -> None:
        facts = {"thread": str(thread_id), "run": str(run_id)}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await require_token(connection, facts["thread"], token)
            for statement in _ROLL_BACK:
                await connection.execute(statement, facts)

    async def let_go(self, thread_id: UUID, token: int) -> None:
        async with self._transaction() as connection:
            await connection.execute("DELETE FROM temp.held WHERE thread_id = ? AND token = ?", (str(thread_id), token))

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        facts = {"thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute(RAISE_FENCE, facts)
            for table in ("checkpoints", "writes", "kept_heads", "kept_writes"):
                await connection.execute(f"DELETE FROM {table} WHERE {_NOT_NEWER}", facts)  # noqa: S608 - our words

    async def copy_thread(self, source_id: UUID, thread_id: UUID, token: int) -> None:
        facts = {"source": str(source_id), "thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute(RAISE_FENCE, facts)
            held = await connection.execute(HOLD, facts)
            if held.rowcount == 0:
                raise Fenced(FENCED)
            for statement in _COPY:
                await connection.execute(statement, facts)

    async def prune_thread(self, thread_id: UUID, token: int) -> bool:
        facts = {"thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute(RAISE_FENCE, facts)
            await require_token(connection, str(thread_id), token)
            ((has_deltas,),) = await connection.execute_fetchall(_HAS_DELTAS, facts)
            for statement in () if has_deltas else _PRUNE:
                await connection.execute(statement, facts)
        return not has_deltas

    async def thread_ids(self) -> list[str]:
        async with self._lock:
            rows = await self._connection.execute_fetchall("SELECT DISTINCT thread_id FROM checkpoints")
        return [str(row[0]) for row in rows]

    async def stored_head(self, thread_id: UUID) -> StoredHead | None:
        facts = {"thread": str(thread_id), "interrupt": INTERRUPT}
        async with self._lock:
            rows = await self._connection.execute_fetchall(_HEAD, facts)
        for metadata, first, last, is_interrupted in rows:
            told = json.loads(metadata or "{}")
            return StoredHead(told, bool(is_interrupted), time_of_checkpoint(first), time_of_checkpoint(last))
        return None

    async def give_items(self, owner: str, heir: str) -> None:
        await self._store.give(owner, heir)

    async def sweep_items(self) -> int:
        return await self._store.sweep_ttl() if self._pace.is_due() else 0

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One transaction, whole or not at all, also when it is cancelled in the middle."""
        async with self._lock:
            try:
                yield self._connection
                await self._connection.commit()
            except BaseException:
                await self._connection.rollback()
                raise

    def _share(self, saver: _S) -> _S:
        saver.lock = self._lock
        saver.is_setup = True
        return saver


async def set_up(path: str, index: StoreIndex | None = None) -> None:
    """Create or migrate the tables of a file; *index*: those by which items are found by meaning, too."""
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS) as connection:
        await AsyncSqliteSaver(connection).setup()
        await connection.executescript(_TABLES)
        await connection.commit()
    await set_up_items(path, index)


@asynccontextmanager
async def open_store(path: str, asked: Store, embedding: Embedding | None) -> AsyncIterator[_Savers]:
    """Open the checkpoints and the store of a file."""
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS) as connection:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.create_function("run_of", 1, _run_of, deterministic=True)
        await connection.create_function("root_of", 1, _root_of, deterministic=True)
        await connection.executescript(HELD)
        async with open_items(path, asked, embedding) as store:
            yield _Savers(connection, store)
