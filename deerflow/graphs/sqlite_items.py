"""The long-term store in a SQLite file: the official one, whole or not at all, fenced, and with times that are kept."""

import json
import logging
import math
import operator
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiosqlite
import sqlite_vec  # type: ignore[import-untyped]
from langgraph.store.base import GetOp, Op, PutOp, Result, SearchOp
from langgraph.store.sqlite.aio import AsyncSqliteStore

from deerflow.graphs.embedding import Embedding, index_config, require_dims
from deerflow.graphs.sqlite_fences import BUSY_SECONDS, require_token
from deerflow.graphs.stores import carrying_out, end_batching, ordered, root_of
from deerflow.project import Store, StoreIndex

log = logging.getLogger(__name__)

_OWNED = "(prefix = :owner OR substr(prefix, 1, length(:owner) + 1) = :owner || '.')"
_GIVEN = ":heir || substr(prefix, length(:owner) + 1)"
_GIVE_ITEMS = (
    f"""
DELETE FROM store WHERE EXISTS (SELECT 1 FROM store o WHERE {_OWNED.replace("prefix", "o.prefix")}
  AND store.prefix = :heir || substr(o.prefix, length(:owner) + 1) AND store.key = o.key
  AND store.updated_at < o.updated_at)
""",  # noqa: S608 - our words
    f"""
DELETE FROM store WHERE {_OWNED} AND EXISTS (SELECT 1 FROM store h
  WHERE h.prefix = :heir || substr(store.prefix, length(:owner) + 1) AND h.key = store.key)
""",  # noqa: S608 - our words
    # An item and its vectors name each other: it is copied, they go over to the copy, and it is dropped.
    f"""
INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes)
SELECT {_GIVEN}, key, value, created_at, updated_at, expires_at, ttl_minutes FROM store WHERE {_OWNED}
""",  # noqa: S608 - our words
)
_GIVE_VECTORS = f"UPDATE store_vectors SET prefix = {_GIVEN} WHERE {_OWNED}"  # noqa: S608 - our words
_DROP_GIVEN = f"DELETE FROM store WHERE {_OWNED}"  # noqa: S608 - our words
_HAS_VECTORS = "SELECT 1 FROM sqlite_master WHERE name = 'store_vectors'"

_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
_MORTAL = f"""
SELECT EXISTS (SELECT 1 FROM store WHERE expires_at <= {_NOW}),
  EXISTS (SELECT 1 FROM store WHERE expires_at IS NOT NULL)
"""  # noqa: S608 - our words
_SWEEP = f"DELETE FROM store WHERE expires_at <= {_NOW}"  # noqa: S608 - our words
_REPLACE = "INSERT OR REPLACE INTO store ("
"""How the official store writes an item: one that is there would lose when it was made, and its vectors would stay."""
_UPSERT = """
ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
  expires_at = excluded.expires_at, ttl_minutes = excluded.ttl_minutes
"""


class Items(AsyncSqliteStore):
    """The items of all owners, in a connection of their own."""

    embedding: Embedding | None = None
    asked: Store = Store()
    _knows_distances = False

    async def setup(self) -> None:
        """The base class's, but that extensions need not be loaded; ConfigError for vectors of another length."""
        config, self.index_config = self.index_config, None
        await super().setup()
        self.index_config = config
        if config is None or self._knows_distances:
            return
        self._knows_distances = True
        await self._know_distances()
        await self.conn.executescript(self.VECTOR_MIGRATIONS[0])
        stored = await self._fetch("SELECT length(embedding) / 4 FROM store_vectors LIMIT 1")
        require_dims(config["dims"], stored[0][0] if stored else config["dims"])

    async def _know_distances(self) -> None:
        try:
            await self.conn.enable_load_extension(True)
            await self.conn.load_extension(sqlite_vec.loadable_path())
            await self.conn.enable_load_extension(False)
        except (AttributeError, sqlite3.OperationalError):
            log.info("SQLite loads no extensions here; distances of vectors are computed in Python")
            await self.conn.create_function("vec_distance_cosine", 2, _cosine_distance, deterministic=True)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The base class's, where what has expired is not there any more, and only what can expire is refreshed."""
        asked = list(ops)
        ((expired, mortal),) = await self._fetch(_MORTAL)
        if expired:
            await self.sweep_ttl()
        if not mortal:
            return await super().abatch([_unrefreshed(op) for op in asked])
        batch, refreshes = carrying_out.get(), any(getattr(op, "refresh_ttl", False) for op in asked)
        marked = carrying_out.set(replace(batch, writes=batch.writes or refreshes))
        try:
            return await super().abatch(asked)
        finally:
            carrying_out.reset(marked)

    async def sweep_ttl(self) -> int:
        """Delete what has expired; how many items that was."""
        async with self._whole():
            return (await self.conn.execute(_SWEEP)).rowcount

    @asynccontextmanager
    async def _cursor(self, *, transaction: bool = True) -> AsyncIterator[aiosqlite.Cursor]:
        """The base class's cursor; what writes does so whole or not at all, what a run writes behind its fence."""
        batch = carrying_out.get()
        if not batch.writes or not transaction:
            async with super()._cursor(transaction=transaction) as cursor:
                yield cursor
            return
        async with self._whole():  # nobody can take the thread between our look and our write
            if batch.holder is not None:
                await require_token(self.conn, batch.holder.thread_id, batch.holder.token)
            async with self.conn.cursor() as cursor:
                yield cursor

    def _prepare_batch_PUT_queries(self, put_ops: Sequence[tuple[int, PutOp]]) -> tuple[Any, Any]:  # noqa: N802
        """The base class's statements; vectors of what the item was go, once the item's row is held by this write."""
        queries, request = super()._prepare_batch_PUT_queries(put_ops)
        named = [(".".join(op.namespace), op.key) for _, op in put_ops] if self.index_config else []
        stale = [("DELETE FROM store_vectors WHERE prefix = ? AND key = ?", name) for name in named]
        return [*(_timed(query, parameters) for query, parameters in queries), *stale], request

    def _get_filter_condition(self, key: str, op: str, value: Any) -> tuple[str, list[Any]]:
        """One condition on a field of the value, with the meaning that it has on Postgres."""
        found, kind = f"json_extract(value, '$.\"{key}\"')", f"json_type(value, '$.\"{key}\"')"
        if sign := ordered(op):
            kinds = "'text'" if isinstance(value, str) else "'integer', 'real'"
            return f"({kind} IN ({kinds}) AND {found} {sign} ?)", [_bound(value)]
        same, parameters = _same(found, f"coalesce({kind}, 'null')", value)
        return (f"NOT ({same})" if op == "$ne" else f"({same})"), parameters

    async def give(self, owner: str, heir: str) -> None:
        """Give all items of an owner to somebody else."""
        has_vectors = bool(await self._fetch(_HAS_VECTORS))
        async with self._whole():
            for statement in (*_GIVE_ITEMS, *([_GIVE_VECTORS] if has_vectors else []), _DROP_GIVEN):
                await self.conn.execute(statement, {"owner": root_of(owner), "heir": root_of(heir)})

    async def _fetch(self, query: str) -> list[Any]:
        async with self.lock:
            return list(await self.conn.execute_fetchall(query))

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        """A transaction that holds SQLite's lock from its beginning, whole or not at all."""
        async with self.lock:
            await self.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                await self.conn.execute("COMMIT")
            except BaseException:
                if self.conn.in_transaction:
                    await self.conn.execute("ROLLBACK")
                raise


def _unrefreshed(op: Op) -> Op:
    return op._replace(refresh_ttl=False) if isinstance(op, GetOp | SearchOp) else op


def _timed(query: str, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """A statement that keeps when an item was made, and tells times to the microsecond."""
    fitting = [_text(each) if isinstance(each, datetime) else each for each in parameters]
    if _REPLACE not in query:
        return query, fitting
    timed = query.replace(_REPLACE, "INSERT INTO store (").replace("CURRENT_TIMESTAMP", f"'{_text(datetime.now(UTC))}'")
    return timed + _UPSERT, fitting


def _text(moment: datetime) -> str:
    """A time in UTC that is compared as text."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _same(found: str, kind: str, value: Any) -> tuple[str, list[Any]]:
    """That a field is this value; one that is not there is null."""
    if value is None or isinstance(value, bool):
        return f"{kind} = ?", [json.dumps(value)]
    if isinstance(value, str):
        return f"{kind} = 'text' AND {found} = ?", [value]
    if isinstance(value, int | float):
        return f"{kind} IN ('integer', 'real') AND {found} = ?", [_bound(value)]
    return f"{kind} IN ('object', 'array') AND json_same({found}, ?)", [json.dumps(value)]


def _bound(value: Any) -> Any:
    """SQLite's whole numbers have 64 bits."""
    return float(value) if isinstance(value, int) and value.bit_length() > _BITS else value


_BITS = 63


def _json_same(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))


def _cosine_distance(one: bytes, other: bytes) -> float | None:
    """What sqlite-vec's function of this name answers, for Pythons whose SQLite loads no extensions."""
    a, b = memoryview(one).cast("f"), memoryview(other).cast("f")
    lengths = math.hypot(*a) * math.hypot(*b)
    return 1.0 - sum(map(operator.mul, a, b)) / lengths if lengths else None


async def set_up_items(path: str, index: StoreIndex | None) -> None:
    """Create or migrate the store's tables; *index*: those by which items are found by meaning, too."""
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None) as connection:
        store = Items(connection, index=index_config(index))
        try:
            await store.setup()
        finally:
            await end_batching(store)


@asynccontextmanager
async def open_items(path: str, asked: Store, embedding: Embedding | None) -> AsyncIterator[Items]:
    """The store in a connection of its own: it begins and ends its transactions itself."""
    index = embedding.index if embedding else None
    async with aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.execute("PRAGMA foreign_keys = ON")  # an item's vectors go with it
        await connection.create_function("json_same", 2, _json_same, deterministic=True)
        store = Items(connection, index=index_config(index), ttl={"refresh_on_read": True})
        store.asked, store.embedding = asked, embedding
        try:
            await store.setup()
            yield store
        finally:
            await end_batching(store)
