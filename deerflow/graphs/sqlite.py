"""The checkpoint store in a SQLite file: one connection for all runs of the process, one more for the store."""

import asyncio
import json
import logging
import math
import operator
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import aiosqlite
import sqlite_vec  # type: ignore[import-untyped]
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore, GetOp, Op, PutOp, Result, SearchOp
from langgraph.store.sqlite.aio import AsyncSqliteStore

from deerflow.domain.ids import time_of_checkpoint
from deerflow.domain.threads import StoredHead
from deerflow.errors import Fenced
from deerflow.graphs.embedding import Embedding, index_config, require_dims
from deerflow.graphs.gate import FENCED, Gate
from deerflow.graphs.gated import Gated
from deerflow.graphs.stores import Holder, OwnedStore, Pace, carrying_out, end_batching, ordered, root_of
from deerflow.project import Store, StoreIndex

log = logging.getLogger(__name__)

_BUSY_SECONDS = 30.0  # waited for on the connection's own thread, so nobody else is held up

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

# On our connection alone: what this process holds, compared in the very statement that writes.
_HELD = """
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

_RAISE_FENCE = (
    "INSERT INTO fences (thread_id, token) VALUES (:thread, :token) "
    "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token WHERE fences.token < excluded.token"
)
_HOLD = """
INSERT OR REPLACE INTO temp.held SELECT thread_id, token FROM fences WHERE thread_id = :thread AND token = :token
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

    def __init__(self, connection: aiosqlite.Connection, store: "_Store") -> None:
        self._connection = connection
        self._store = store
        self._pace = Pace(store.asked.sweep_interval_minutes)
        self._lock = asyncio.Lock()
        self._reader = self._share(AsyncSqliteSaver(connection))

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
                await connection.execute(_RAISE_FENCE, facts)
                held = await connection.execute(_HOLD, facts)
                if held.rowcount == 0:
                    raise Fenced(FENCED)
                ((newest, others_kept),) = await connection.execute_fetchall(_LOOK, facts)
                for statement in _FORGET_KEPT if others_kept else ():
                    await connection.execute(statement, facts)
                return str(newest)

        newest = await gate.write(take)
        saver = self._share(_Saver(self._connection))
        saver.gate, saver.thread_id, saver.run_id, saver.newest = gate, key, run, newest
        return saver

    async def roll_back(self, thread_id: UUID, token: int, run_id: UUID) -> None:
        facts = {"thread": str(thread_id), "run": str(run_id)}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await self._require(connection, facts["thread"], token)
            for statement in _ROLL_BACK:
                await connection.execute(statement, facts)

    async def let_go(self, thread_id: UUID, token: int) -> None:
        async with self._transaction() as connection:
            await connection.execute("DELETE FROM temp.held WHERE thread_id = ? AND token = ?", (str(thread_id), token))

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        facts = {"thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute(_RAISE_FENCE, facts)
            for table in ("checkpoints", "writes", "kept_heads", "kept_writes"):
                await connection.execute(f"DELETE FROM {table} WHERE {_NOT_NEWER}", facts)  # noqa: S608 - our words

    async def copy_thread(self, source_id: UUID, thread_id: UUID, token: int) -> None:
        facts = {"source": str(source_id), "thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute(_RAISE_FENCE, facts)
            held = await connection.execute(_HOLD, facts)
            if held.rowcount == 0:
                raise Fenced(FENCED)
            for statement in _COPY:
                await connection.execute(statement, facts)

    async def prune_thread(self, thread_id: UUID, token: int) -> bool:
        facts = {"thread": str(thread_id), "token": token}
        async with self._transaction() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            await connection.execute(_RAISE_FENCE, facts)
            await self._require(connection, str(thread_id), token)
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

    @staticmethod
    async def _require(connection: aiosqlite.Connection, thread_id: str, token: int) -> None:
        """Raise Fenced unless the thread's token is this one."""
        rows = await connection.execute_fetchall("SELECT token FROM fences WHERE thread_id = ?", (thread_id,))
        if [row[0] for row in rows] != [token]:
            raise Fenced(FENCED)

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


class _Store(AsyncSqliteStore):
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
                await _Savers._require(self.conn, batch.holder.thread_id, batch.holder.token)
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


async def set_up(path: str, index: StoreIndex | None = None) -> None:
    """Create or migrate the tables of a file; *index*: those by which items are found by meaning, too."""
    async with aiosqlite.connect(path, timeout=_BUSY_SECONDS) as connection:
        await AsyncSqliteSaver(connection).setup()
        await connection.executescript(_TABLES)
        await connection.commit()
    async with aiosqlite.connect(path, timeout=_BUSY_SECONDS, isolation_level=None) as connection:
        store = _Store(connection, index=index_config(index))
        try:
            await store.setup()
        finally:
            await end_batching(store)


@asynccontextmanager
async def open_store(path: str, asked: Store, embedding: Embedding | None) -> AsyncIterator[_Savers]:
    """Open the checkpoints and the store of a file."""
    async with aiosqlite.connect(path, timeout=_BUSY_SECONDS) as connection:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.create_function("run_of", 1, _run_of, deterministic=True)
        await connection.create_function("root_of", 1, _root_of, deterministic=True)
        await connection.executescript(_HELD)
        async with _open_items(path, asked, embedding) as store:
            yield _Savers(connection, store)


@asynccontextmanager
async def _open_items(path: str, asked: Store, embedding: Embedding | None) -> AsyncIterator["_Store"]:
    """The store in a connection of its own: it begins and ends its transactions itself."""
    index = embedding.index if embedding else None
    async with aiosqlite.connect(path, timeout=_BUSY_SECONDS, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.execute("PRAGMA foreign_keys = ON")  # an item's vectors go with it
        await connection.create_function("json_same", 2, _json_same, deterministic=True)
        store = _Store(connection, index=index_config(index), ttl={"refresh_on_read": True})
        store.asked, store.embedding = asked, embedding
        try:
            await store.setup()
            yield store
        finally:
            await end_batching(store)
