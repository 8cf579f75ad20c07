"""The long-term store in Postgres: the official one, whole or not at all, fenced, and compared as JSON is."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langgraph.store.base import PutOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import VECTOR_MIGRATIONS
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import FeatureNotSupported, InsufficientPrivilege, UndefinedFile
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from deerflow.errors import ConfigError
from deerflow.graphs.embedding import Embedding, index_config, require_dims
from deerflow.graphs.postgres_fences import behind_fence, one_go
from deerflow.graphs.stores import carrying_out, ordered, root_of
from deerflow.project import Store, StoreIndex

SCHEMA = "langgraph"
"""All tables of the checkpoint store, too."""

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


class Items(AsyncPostgresStore):
    """The items of all owners."""

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
        whole = behind_fence(self.conn, holder.thread_id, holder.token) if holder else one_go(self.conn)
        async with whole as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
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

    async def give(self, owner: str, heir: str) -> None:
        """Give all items of an owner to somebody else."""
        names = {"owner": root_of(owner), "heir": root_of(heir)}
        assert isinstance(self.conn, AsyncConnectionPool)
        async with self.conn.connection() as connection, connection.transaction():
            found = await (await connection.execute(_HAS_VECTORS)).fetchone()
            vectors = [_GIVE_VECTORS] if found and found["found"] else []
            for statement in (*_GIVE_ITEMS, *vectors, _DROP_GIVEN):
                await connection.execute(statement, names)


async def set_up_items(connection: AsyncConnection[DictRow], index: StoreIndex | None) -> None:
    """Create or migrate the store's tables; *index*: those by which items are found by meaning, too."""
    await AsyncPostgresStore(connection).setup()
    await connection.execute(_ANY_MINUTES)
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
    await Items(connection, index=index_config(index)).setup()
    require_dims(index.dims, await _dims(connection))


async def _search_path(connection: AsyncConnection[DictRow]) -> str:
    """Where tables are found, and the type of vectors, which lies where somebody has installed it."""
    found = await (await connection.execute(_VECTOR_SCHEMA)).fetchone()
    return SCHEMA if found is None or found["name"] == SCHEMA else f"{SCHEMA},{found['name']}"


async def _dims(connection: AsyncConnection[DictRow]) -> int:
    found = await (await connection.execute(_DIMS)).fetchone()
    return int(found["dims"]) if found else 0


async def indexed_path(url: str, index: StoreIndex) -> str:
    """The search path where vectors are known; ConfigError when the database was not prepared for them."""
    async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute(f"SET search_path TO {SCHEMA}")
        found = await (await connection.execute(_HAS_VECTORS)).fetchone()
        if not found or not found["found"]:
            raise ConfigError("langgraph.json has a store.index, for which the database is to be prepared: db upgrade")
        require_dims(index.dims, await _dims(connection))
        return await _search_path(connection)
