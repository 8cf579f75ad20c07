"""The checkpoint store in Postgres: a schema of its own, a small pool of connections for all runs of the process."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import VECTOR_MIGRATIONS
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import DivisionByZero, FeatureNotSupported, InsufficientPrivilege, UndefinedFile
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from deerflow.domain.ids import time_of_checkpoint
from deerflow.domain.threads import StoredHead
from deerflow.errors import ConfigError, Fenced
from deerflow.graphs.embedding import Embedding, index_config, require_dims
from deerflow.graphs.gate import FENCED, Gate
from deerflow.graphs.gated import Gated
from deerflow.graphs.stores import Holder, OwnedStore, Pace, carrying_out, end_batching, ordered, root_of
from deerflow.project import Store, StoreIndex
from deerflow.settings import POSTGRES_PATIENCE

_Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

_SCHEMA = "langgraph"
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

_RAISE_FENCE = (
    "INSERT INTO fences (thread_id, token) VALUES (%(thread)s, %(token)s) "
    "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token WHERE fences.token < excluded.token"
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

_OWNED = "(o.prefix = %(owner)s OR starts_with(o.prefix, %(owner)s || '.'))"
_GIVEN = "%(heir)s || substr(o.prefix, length(%(owner)s) + 1)"
_SAME = f"h.prefix = {_GIVEN} AND h.key = o.key"
_GIVE_ITEMS = (
    f"DELETE FROM store h USING store o WHERE {_OWNED} AND {_SAME} AND h.updated_at < o.updated_at",  # noqa: S608
    f"DELETE FROM store o USING store h WHERE {_OWNED} AND {_SAME}",  # noqa: S608 - our words
    # An item and its vectors name each other: it is copied, they go over to the copy, and it is dropped.
    f"""
INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes)
SELECT {_GIVEN}, key, value, created_at, updated_at, expires_at, ttl_minutes FROM store o WHERE {_OWNED}
""",  # noqa: S608 - our words
)
_GIVE_VECTORS = f"UPDATE store_vectors o SET prefix = {_GIVEN} WHERE {_OWNED}"  # noqa: S608 - our words
_DROP_GIVEN = f"DELETE FROM store o WHERE {_OWNED}"  # noqa: S608 - our words
_HAS_VECTORS = "SELECT to_regclass('store_vectors') IS NOT NULL AS found"
# The official column holds whole minutes; the official store gives it any.
_ANY_MINUTES = """
DO $$ BEGIN
  IF (SELECT data_type FROM information_schema.columns WHERE table_schema = current_schema()
      AND table_name = 'store' AND column_name = 'ttl_minutes') = 'integer' THEN
    ALTER TABLE store ALTER COLUMN ttl_minutes TYPE double precision;
  END IF;
END $$
"""
_VECTOR_SCHEMA = """
SELECT n.nspname AS name FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'
"""
_DIMS = (
    "SELECT atttypmod AS dims FROM pg_attribute WHERE attrelid = 'store_vectors'::regclass AND attname = 'embedding'"
)

# Fails unless the token is the thread's, so that nobody has to wait for its answer; holds it until the end if it is.
_REQUIRE = """
SELECT 1 / count(*) FROM
  (SELECT 1 FROM fences WHERE thread_id = %(thread)s AND token = %(token)s FOR SHARE) AS ours
"""


@asynccontextmanager
async def _one_go(pool: _Pool) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A transaction whose statements are sent without waiting for each other, unless somebody asks for a row."""
    try:
        # In this order: a pipeline around the transaction costs more, and would find the error after the COMMIT.
        async with pool.connection() as connection, connection.transaction(), connection.pipeline():
            yield connection
    except DivisionByZero:
        raise Fenced(FENCED) from None


@asynccontextmanager
async def _behind_fence(pool: _Pool, thread_id: str, token: int) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Such a transaction, for whoever holds the thread's token; Fenced, perhaps at its end, for everybody else."""
    async with _one_go(pool) as connection:
        await connection.execute(_REQUIRE, {"thread": thread_id, "token": token})
        yield connection


class _Saver(Gated, AsyncPostgresSaver):
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
            _behind_fence(self.conn, self.thread_id, self.token) as connection,
            connection.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            yield cursor

    async def keep(self, checkpoint_ns: str, checkpoint_id: str) -> None:
        facts = {"thread": self.thread_id, "run": self.run_id, "ns": checkpoint_ns, "id": checkpoint_id}
        async with self._cursor(pipeline=True) as cursor:
            await cursor.execute(_KEEP, facts)


class _Savers:
    """Every write takes a connection of the pool for its own transaction."""

    def __init__(self, pool: _Pool, asked: Store, embedding: Embedding | None) -> None:
        self._pool = pool
        self._pace = Pace(asked.sweep_interval_minutes)
        index = index_config(embedding.index if embedding else None)
        self.official_store = _Store(pool, index=index, ttl={"omit_expired": True})
        self.official_store.asked, self.official_store.embedding = asked, embedding
        self._reader = AsyncPostgresSaver(pool)

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
            async with _one_go(self._pool) as connection:
                await connection.execute(_RAISE_FENCE, {"thread": key, "token": token})
                await connection.execute(_REQUIRE, {"thread": key, "token": token})
                await connection.execute(_FORGET_KEPT, {"thread": key, "run": run})
                row = await (await connection.execute(_NEWEST, {"thread": key})).fetchone()
                return str(row["id"]) if row is not None else ""

        newest = await gate.write(take)
        saver = _Saver(self._pool)
        saver.gate, saver.thread_id, saver.token, saver.run_id, saver.newest = gate, key, token, run, newest
        return saver

    async def roll_back(self, thread_id: UUID, token: int, run_id: UUID) -> None:
        facts = {"thread": str(thread_id), "run": str(run_id)}
        async with _behind_fence(self._pool, facts["thread"], token) as connection:
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
            await connection.execute(_RAISE_FENCE, facts)
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes", "kept_heads", "kept_writes"):
                await connection.execute(f"DELETE FROM {table} WHERE {_NOT_NEWER}", facts)  # noqa: S608 - our words

    async def copy_thread(self, source_id: UUID, thread_id: UUID, token: int) -> None:
        facts = {"source": str(source_id), "thread": str(thread_id), "token": token}
        async with _one_go(self._pool) as connection:
            await connection.execute(_RAISE_FENCE, facts)
            await connection.execute(_REQUIRE, facts)
            await connection.execute(_COPY, facts)

    async def prune_thread(self, thread_id: UUID, token: int) -> bool:
        facts = {"thread": str(thread_id), "token": token}
        async with _one_go(self._pool) as connection:
            await connection.execute(_RAISE_FENCE, facts)
            await connection.execute(_REQUIRE, facts)
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
        names = {"owner": root_of(owner), "heir": root_of(heir)}
        async with self._pool.connection() as connection, connection.transaction():
            found = await (await connection.execute(_HAS_VECTORS)).fetchone()
            vectors = [_GIVE_VECTORS] if found and found["found"] else []
            for statement in (*_GIVE_ITEMS, *vectors, _DROP_GIVEN):
                await connection.execute(statement, names)

    async def sweep_items(self) -> int:
        return await self.official_store.sweep_ttl() if self._pace.is_due() else 0


class _Store(AsyncPostgresStore):
    embedding: Embedding | None = None
    asked: Store = Store()
    VECTOR_MIGRATIONS = VECTOR_MIGRATIONS[:2]
    """Without the index of neighbours: no search uses it, as all stay within a namespace, and it holds 2,000 dims."""

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """The base class's cursor; what writes does so whole or not at all, what a run writes behind its fence."""
        batch = carrying_out.get()
        if not batch.writes:
            async with super()._cursor(pipeline=pipeline) as cursor:
                yield cursor
            return
        assert isinstance(self.conn, AsyncConnectionPool)
        holder = batch.holder
        one_go = _behind_fence(self.conn, holder.thread_id, holder.token) if holder else _one_go(self.conn)
        async with one_go as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            yield cursor

    def _prepare_batch_PUT_queries(self, put_ops: Sequence[tuple[int, PutOp]]) -> tuple[Any, Any]:  # noqa: N802
        """The base class's statements; vectors of what the item was go, once the item's row is held by this write."""
        queries, request = super()._prepare_batch_PUT_queries(put_ops)
        named = [(".".join(op.namespace), op.key) for _, op in put_ops] if self.index_config else []
        stale = [("DELETE FROM store_vectors WHERE prefix = %s AND key = %s", name) for name in named]
        return [*queries, *stale], request

    def _get_filter_condition(self, key: str, op: str, value: Any) -> tuple[str, list[Any]]:
        """One condition on a field of the value; the base class compares numbers as texts."""
        if (sign := ordered(op)) is None:
            sign = "=" if op == "$eq" else "!="
            return f"coalesce(value->%s, 'null'::jsonb) {sign} %s::jsonb", [key, json.dumps(value)]
        kind, cast = ("string", 'COLLATE "C"') if isinstance(value, str) else ("number", "::numeric")
        condition = f"(CASE WHEN jsonb_typeof(value->%s) = '{kind}' THEN (value->>%s) {cast} {sign} %s ELSE false END)"
        return condition, [key, key, value]


async def set_up(url: str, index: StoreIndex | None = None) -> None:
    """Create or migrate the tables of a database; *index*: those by which items are found by meaning, too."""
    async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        await connection.execute(f"SET search_path TO {_SCHEMA}")
        await AsyncPostgresSaver(connection).setup()
        await AsyncPostgresStore(connection).setup()
        await connection.execute(_ANY_MINUTES)
        for table in _TABLES:
            await connection.execute(table)
        if index is not None:
            await _set_up_index(connection, index)


async def _set_up_index(connection: AsyncConnection[DictRow], index: StoreIndex) -> None:
    """The extension and its table; ConfigError when this database cannot have them."""
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (FeatureNotSupported, UndefinedFile, InsufficientPrivilege) as error:
        raise ConfigError(
            "store.index of langgraph.json needs Postgres' extension vector (pgvector): install it, let an "
            f"administrator say CREATE EXTENSION vector, or leave store.index out ({error.diag.message_primary})"
        ) from error
    await connection.execute(f"SET search_path TO {await _search_path(connection)}")
    await _Store(connection, index=index_config(index)).setup()
    require_dims(index.dims, await _dims(connection))


async def _search_path(connection: AsyncConnection[DictRow]) -> str:
    """Where tables are found, and the type of vectors, which lies where somebody has installed it."""
    found = await (await connection.execute(_VECTOR_SCHEMA)).fetchone()
    return _SCHEMA if found is None or found["name"] == _SCHEMA else f"{_SCHEMA},{found['name']}"


async def _dims(connection: AsyncConnection[DictRow]) -> int:
    found = await (await connection.execute(_DIMS)).fetchone()
    return int(found["dims"]) if found else 0


async def _indexed_path(url: str, index: StoreIndex) -> str:
    """The search path where vectors are known; ConfigError when the database was not prepared for them."""
    async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute(f"SET search_path TO {_SCHEMA}")
        found = await (await connection.execute(_HAS_VECTORS)).fetchone()
        if not found or not found["found"]:
            raise ConfigError("langgraph.json has a store.index, for which the database is to be prepared: db upgrade")
        require_dims(index.dims, await _dims(connection))
        return await _search_path(connection)


@asynccontextmanager
async def open_store(url: str, size: int, asked: Store, embedding: Embedding | None) -> AsyncIterator[_Savers]:
    """Open the checkpoints and the store of a database."""
    path = await _indexed_path(url, embedding.index) if embedding else _SCHEMA
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
    )
    async with pool:
        await pool.wait()
        savers = _Savers(pool, asked, embedding)
        try:
            yield savers
        finally:
            await end_batching(savers.official_store)
