"""The checkpoint store in Postgres: a schema of its own, a small pool of connections for all runs of the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.store.base import BaseStore
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from deerflow.domain.ids import time_of_checkpoint
from deerflow.domain.threads import StoredHead
from deerflow.graphs.embedding import Embedding, index_config
from deerflow.graphs.gate import Gate
from deerflow.graphs.gated import Gated
from deerflow.graphs.postgres_fences import RAISE_FENCE, REQUIRE, Pool, behind_fence, one_go
from deerflow.graphs.postgres_items import SCHEMA, Items, indexed_path, set_up_items
from deerflow.graphs.stores import Holder, OwnedStore, Pace, end_batching
from deerflow.project import Store, StoreIndex
from deerflow.settings import POSTGRES_IDLE, POSTGRES_PATIENCE

_POOL_PATIENCE_SECONDS = 5.0
"""For a connection; whoever waits in vain asks its gate and tries again."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS fences (thread_id TEXT PRIMARY KEY, token BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS kept_heads (
  thread_id TEXT NOT NULL, run_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
  PRIMARY KEY (thread_id, run_id, checkpoint_ns, checkpoint_id)
)""",
    """CREATE TABLE IF NOT EXISTS kept_writes (
  thread_id TEXT NOT NULL, run_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
  task_id TEXT NOT NULL, task_path TEXT NOT NULL, idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT,
  blob BYTEA NOT NULL,
  PRIMARY KEY (thread_id, run_id, checkpoint_ns, checkpoint_id, task_id, idx)
)""",
)

_NOT_NEWER = "thread_id = %(thread)s AND (SELECT token FROM fences WHERE thread_id = %(thread)s) = %(token)s"
_FORGET_KEPT = """
WITH heads AS (DELETE FROM kept_heads WHERE thread_id = %(thread)s AND run_id IS DISTINCT FROM %(run)s)
DELETE FROM kept_writes WHERE thread_id = %(thread)s AND run_id IS DISTINCT FROM %(run)s
"""
_NEWEST = "SELECT coalesce(max(checkpoint_id), '') AS id FROM checkpoints WHERE thread_id = %(thread)s"
_COLUMNS = "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob"
_KEEP = f"""
WITH head AS (
  INSERT INTO kept_heads (thread_id, run_id, checkpoint_ns, checkpoint_id)
  SELECT %(thread)s, %(run)s, %(ns)s, %(id)s WHERE NOT EXISTS (
    SELECT 1 FROM checkpoints WHERE thread_id = %(thread)s AND checkpoint_ns = %(ns)s AND checkpoint_id = %(id)s
      AND metadata->>'run_id' = %(run)s)
  ON CONFLICT DO NOTHING
  RETURNING thread_id, run_id, checkpoint_ns, checkpoint_id)
INSERT INTO kept_writes (thread_id, run_id, {_COLUMNS})
SELECT w.thread_id, head.run_id, {", ".join(f"w.{name}" for name in _COLUMNS.split(", "))}
FROM head JOIN checkpoint_writes w USING (thread_id, checkpoint_ns, checkpoint_id)
"""  # noqa: S608 - our words
_GONE = """
DELETE FROM checkpoints WHERE thread_id = %(thread)s AND metadata->>'run_id' = %(run)s
RETURNING checkpoint_ns AS ns, checkpoint_id AS id, checkpoint->'channel_versions' AS versions
"""
_DROP_WRITES = """
DELETE FROM checkpoint_writes w USING unnest(%(namespaces)s::text[], %(ids)s::text[]) AS gone(ns, id)
WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = gone.ns AND w.checkpoint_id = gone.id
"""
# Only values that the run's checkpoints named can have lost their last reader.
_DROP_BLOBS = """
DELETE FROM checkpoint_blobs b USING unnest(%(namespaces)s::text[], %(channels)s::text[], %(versions)s::text[])
  AS gone(ns, channel, version)
WHERE b.thread_id = %(thread)s AND b.checkpoint_ns = gone.ns AND b.channel = gone.channel AND b.version = gone.version
  AND NOT EXISTS (SELECT 1 FROM checkpoints k WHERE k.thread_id = b.thread_id AND k.checkpoint_ns = b.checkpoint_ns
    AND k.checkpoint->'channel_versions'->>b.channel = b.version)
"""
_PUT_BACK = (
    """
DELETE FROM checkpoint_writes w USING kept_heads k
WHERE k.thread_id = %(thread)s AND k.run_id = %(run)s AND w.thread_id = k.thread_id
  AND w.checkpoint_ns = k.checkpoint_ns AND w.checkpoint_id = k.checkpoint_id
""",
    f"""
INSERT INTO checkpoint_writes (thread_id, {_COLUMNS})
SELECT thread_id, {_COLUMNS} FROM kept_writes WHERE thread_id = %(thread)s AND run_id = %(run)s
""",  # noqa: S608 - our words
    "DELETE FROM kept_heads WHERE thread_id = %(thread)s AND run_id = %(run)s",
    "DELETE FROM kept_writes WHERE thread_id = %(thread)s AND run_id = %(run)s",
)

_HEAD = """
SELECT c.metadata, c.checkpoint_id AS last,
  (SELECT min(checkpoint_id) FROM checkpoints WHERE thread_id = %(thread)s) AS first,
  EXISTS (SELECT 1 FROM checkpoint_writes w WHERE w.thread_id = c.thread_id AND w.checkpoint_ns = c.checkpoint_ns
    AND w.checkpoint_id = c.checkpoint_id AND w.channel = %(interrupt)s) AS is_interrupted
FROM checkpoints c WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = '' ORDER BY c.checkpoint_id DESC LIMIT 1
"""
_OF_CHECKPOINTS = "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
_OF_BLOBS = "checkpoint_ns, channel, version, type, blob"
# One statement, so one snapshot: no writes of a checkpoint that came between.
_COPY = f"""
WITH heads AS (
  INSERT INTO checkpoints (thread_id, {_OF_CHECKPOINTS})
  SELECT %(thread)s, {_OF_CHECKPOINTS} FROM checkpoints WHERE thread_id = %(source)s ON CONFLICT DO NOTHING),
blobs AS (
  INSERT INTO checkpoint_blobs (thread_id, {_OF_BLOBS})
  SELECT %(thread)s, {_OF_BLOBS} FROM checkpoint_blobs WHERE thread_id = %(source)s ON CONFLICT DO NOTHING)
INSERT INTO checkpoint_writes (thread_id, {_COLUMNS})
SELECT %(thread)s, {_COLUMNS} FROM checkpoint_writes WHERE thread_id = %(source)s ON CONFLICT DO NOTHING
"""  # noqa: S608 - our words
_HAS_DELTAS = """
SELECT EXISTS (SELECT 1 FROM checkpoints WHERE thread_id = %(thread)s
  AND (metadata ? 'counters_since_delta_snapshot' OR metadata ? 'delta_writes_versioned')) AS has_deltas
"""
_STAYS = """EXISTS (SELECT 1 FROM checkpoints k WHERE k.thread_id = gone.thread_id
  AND k.checkpoint_ns = gone.checkpoint_ns AND k.checkpoint_id = gone.checkpoint_id)"""
_PRUNE = (
    """
DELETE FROM checkpoints c USING
  (SELECT checkpoint_ns, max(checkpoint_id) AS id FROM checkpoints WHERE thread_id = %(thread)s GROUP BY 1) AS newest
WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = newest.checkpoint_ns AND c.checkpoint_id < newest.id
""",
    """
DELETE FROM checkpoints c WHERE thread_id = %(thread)s AND strpos(checkpoint_ns, ':') > 0
  AND metadata->'parents'->>'' IS NOT NULL AND NOT EXISTS (SELECT 1 FROM checkpoints k
    WHERE k.thread_id = c.thread_id AND k.checkpoint_ns = '' AND k.checkpoint_id = c.metadata->'parents'->>'')
""",
    "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = %(thread)s",
    *(
        f"DELETE FROM {table} gone WHERE thread_id = %(thread)s AND NOT {_STAYS}"  # noqa: S608 - our words
        for table in ("checkpoint_writes", "kept_heads", "kept_writes")
    ),
    """
DELETE FROM checkpoint_blobs b WHERE thread_id = %(thread)s
  AND NOT EXISTS (SELECT 1 FROM checkpoints k WHERE k.thread_id = b.thread_id AND k.checkpoint_ns = b.checkpoint_ns
    AND k.checkpoint->'channel_versions'->>b.channel = b.version)
""",
)


class _OnLoop(AsyncPostgresSaver):
    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        """What the sync saver makes of a row; the async one makes the same, but takes a user thread for each row."""
        return PostgresSaver._load_checkpoint_tuple(cast("PostgresSaver", self), value)


class _Saver(Gated, _OnLoop):
    thread_id: str
    token: int

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """The base class's cursor; what writes (it asks for a pipeline) does so behind the fence, in one go."""
        if not pipeline:
            async with super()._cursor() as cursor:
                yield cursor
            return
        assert isinstance(self.conn, AsyncConnectionPool)
        async with (
            self.lock,
            behind_fence(self.conn, self.thread_id, self.token) as connection,
            connection.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            yield cursor

    async def keep(self, checkpoint_ns: str, checkpoint_id: str) -> None:
        facts = {"thread": self.thread_id, "run": self.run_id, "ns": checkpoint_ns, "id": checkpoint_id}
        async with self._cursor(pipeline=True) as cursor:
            await cursor.execute(_KEEP, facts)


class _Savers:
    """Every write takes a connection of the pool for its own transaction."""

    def __init__(self, pool: Pool, asked: Store, embedding: Embedding | None) -> None:
        self._pool = pool
        self._pace = Pace(asked.sweep_interval_minutes)
        index = index_config(embedding.index if embedding else None)
        self.official_store = Items(pool, index=index, ttl={"omit_expired": True})
        self.official_store.asked, self.official_store.embedding = asked, embedding
        self._reader = _OnLoop(pool)

    def reader(self) -> BaseCheckpointSaver[Any]:
        return self._reader

    def store(self, owner: str) -> BaseStore:
        return OwnedStore(self.official_store, owner)

    def store_for_run(self, owner: str, thread_id: UUID, token: int, gate: Gate) -> BaseStore:
        return OwnedStore(self.official_store, owner, Holder(str(thread_id), token, gate))

    async def for_run(
        self, thread_id: UUID, token: int, gate: Gate, *, run_id: UUID | None = None
    ) -> BaseCheckpointSaver[Any]:
        key, run = str(thread_id), str(run_id) if run_id else None

        async def take() -> str:
            async with one_go(self._pool) as connection:
                await connection.execute(RAISE_FENCE, {"thread": key, "token": token})
                await connection.execute(REQUIRE, {"thread": key, "token": token})
                await connection.execute(_FORGET_KEPT, {"thread": key, "run": run})
                row = await (await connection.execute(_NEWEST, {"thread": key})).fetchone()
                return str(row["id"]) if row is not None else ""

        newest = await gate.write(take)
        saver = _Saver(self._pool)
        saver.gate, saver.thread_id, saver.token, saver.run_id, saver.newest = gate, key, token, run, newest
        return saver

    async def roll_back(self, thread_id: UUID, token: int, run_id: UUID) -> None:
        facts = {"thread": str(thread_id), "run": str(run_id)}
        async with behind_fence(self._pool, facts["thread"], token) as connection:
            gone = await (await connection.execute(_GONE, facts)).fetchall()
            named = [(row["ns"], *pair) for row in gone for pair in (row["versions"] or {}).items()]
            heads = {"namespaces": [row["ns"] for row in gone], "ids": [row["id"] for row in gone]}
            await connection.execute(_DROP_WRITES, facts | heads)
            blobs = {
                "namespaces": [namespace for namespace, _, _ in named],
                "channels": [channel for _, channel, _ in named],
                "versions": [str(version) for _, _, version in named],
            }
            await connection.execute(_DROP_BLOBS, facts | blobs)
            for statement in _PUT_BACK:
                await connection.execute(statement, facts)

    async def let_go(self, thread_id: UUID, token: int) -> None:
        """Nothing is kept in this process."""

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        facts = {"thread": str(thread_id), "token": token}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(RAISE_FENCE, facts)
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "kept_heads", "kept_writes"):
                await connection.execute(f"DELETE FROM {table} WHERE {_NOT_NEWER}", facts)  # noqa: S608 - our words

    async def copy_thread(self, source_id: UUID, thread_id: UUID, token: int) -> None:
        facts = {"source": str(source_id), "thread": str(thread_id), "token": token}
        async with one_go(self._pool) as connection:
            await connection.execute(RAISE_FENCE, facts)
            await connection.execute(REQUIRE, facts)
            await connection.execute(_COPY, facts)

    async def prune_thread(self, thread_id: UUID, token: int) -> bool:
        facts = {"thread": str(thread_id), "token": token}
        async with one_go(self._pool) as connection:
            await connection.execute(RAISE_FENCE, facts)
            await connection.execute(REQUIRE, facts)
            row = await (await connection.execute(_HAS_DELTAS, facts)).fetchone()
            assert row is not None
            for statement in () if row["has_deltas"] else _PRUNE:
                await connection.execute(statement, facts)
        return not row["has_deltas"]

    async def thread_ids(self) -> list[str]:
        async with self._pool.connection() as connection:
            found = await connection.execute("SELECT DISTINCT thread_id FROM checkpoints")
            return [str(row["thread_id"]) for row in await found.fetchall()]

    async def stored_head(self, thread_id: UUID) -> StoredHead | None:
        async with self._pool.connection() as connection:
            found = await connection.execute(_HEAD, {"thread": str(thread_id), "interrupt": INTERRUPT})
            row = await found.fetchone()
        if row is None:
            return None
        times = time_of_checkpoint(row["first"]), time_of_checkpoint(row["last"])
        return StoredHead(row["metadata"], row["is_interrupted"], *times)

    async def give_items(self, owner: str, heir: str) -> None:
        await self.official_store.give(owner, heir)

    async def sweep_items(self) -> int:
        return await self.official_store.sweep_ttl() if self._pace.is_due() else 0


async def set_up(url: str, index: StoreIndex | None = None) -> None:
    """Create or migrate the tables of a database; *index*: those by which items are found by meaning, too."""
    async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        await connection.execute(f"SET search_path TO {SCHEMA}")
        await AsyncPostgresSaver(connection).setup()
        for table in _TABLES:
            await connection.execute(table)
        await set_up_items(connection, index)


async def _prepare(connection: AsyncConnection[DictRow]) -> None:
    await connection.execute(f"SET {POSTGRES_IDLE}")


@asynccontextmanager
async def open_store(url: str, size: int, asked: Store, embedding: Embedding | None) -> AsyncIterator[_Savers]:
    """Open the checkpoints and the store of a database."""
    path = await indexed_path(url, embedding.index) if embedding else SCHEMA
    options = {
        **POSTGRES_PATIENCE,
        "autocommit": True,
        "prepare_threshold": 0,
        "row_factory": dict_row,
        "options": f"-c search_path={path}",
    }
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=size,
        timeout=_POOL_PATIENCE_SECONDS,
        kwargs=options,
        open=False,
        check=AsyncConnectionPool.check_connection,
        configure=_prepare,
    )
    async with pool:
        await pool.wait()
        savers = _Savers(pool, asked, embedding)
        try:
            yield savers
        finally:
            await end_batching(savers.official_store)
