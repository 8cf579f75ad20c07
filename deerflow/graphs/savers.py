"""Savers: the official checkpointers, thinly subclassed so that an attempt that is over can store nothing.

The fence: a table ``fences(thread_id, token)`` beside the checkpoints holds the token of the thread's last claim.
A run's saver may write only while its own token stands there, and that is checked where the write happens:

* SQLite: a TEMP trigger on our connection compares it with the token this process holds for the thread;
* Postgres: the write's transaction reads it ``FOR SHARE``, so that the next claim waits for the write or refuses it.

Before any write the saver waits until the run's log has stored what the step said: a committed step must not have
said something that died with the worker.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, TypeVar
from uuid import UUID

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from deerflow.errors import Fenced
from deerflow.graphs.stores import OwnedStore

_SCHEMA = "langgraph"
_FENCED = "fenced: this attempt is over"
_SQLITE_BUSY_SECONDS = 30.0  # waited for on the connection's own thread, so nobody else is held up


class Gate:
    """What stands between one run and the store. *before*: awaited ahead of each write."""

    def __init__(self, before: Callable[[], Awaitable[None]]) -> None:
        self._before = before
        self._open = True

    def shut(self) -> None:
        """Refuse all further writes: the first line, in memory; the store's own fence is the second."""
        self._open = False

    async def pass_through(self, write: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do one write, whole: a cancel that comes while it is under way waits for its end.

        A write cut in half would leave SQLite's shared connection inside a transaction and lock out everybody.
        """
        await self._before()
        if not self._open:
            raise Fenced(_FENCED)
        task = asyncio.ensure_future(write())
        try:
            answer = await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise
        except sqlite3.IntegrityError as error:
            if "fenced" in str(error):
                raise Fenced(_FENCED) from error
            raise
        return answer


class _Gated(BaseCheckpointSaver[Any]):
    """A saver whose writes go through a gate."""

    gate: Gate

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint unless this attempt is over."""
        put = super().aput
        return await self.gate.pass_through(lambda: put(config, checkpoint, metadata, new_versions))  # type: ignore[no-any-return]

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store a finished node's writes unless this attempt is over."""
        put = super().aput_writes
        await self.gate.pass_through(lambda: put(config, writes, task_id, task_path))


class Savers(Protocol):
    """The checkpoint store of one process."""

    def reader(self) -> BaseCheckpointSaver[Any]:
        """A saver for looking; it belongs to no run."""

    async def for_run(self, thread_id: UUID, token: int, gate: Gate) -> BaseCheckpointSaver[Any]:
        """The saver of one attempt, from now on the only one that may write to the thread; Fenced when a newer came."""

    def store(self, owner: str) -> BaseStore:
        """One owner's view of the long-term store."""

    async def let_go(self, thread_id: UUID, token: int) -> None:
        """The attempt with that token is over in this process."""

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        """Delete all that is stored of a thread, and refuse what holders of smaller tokens still write."""


@asynccontextmanager
async def open_savers(url: str, *, pool: int = 4) -> AsyncIterator[Savers]:
    """Open the checkpoint store of a ``sqlite:///`` or ``postgresql://`` URL; *pool* is for Postgres."""
    async with AsyncExitStack() as stack:
        if url.startswith("sqlite:///"):
            yield await stack.enter_async_context(_open_sqlite(url.removeprefix("sqlite:///")))
        else:
            yield await stack.enter_async_context(_open_postgres(url, pool))


async def set_up(url: str) -> None:
    """Create or migrate the store's tables; run once per release, not by every process."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        async with aiosqlite.connect(path, timeout=_SQLITE_BUSY_SECONDS) as connection:
            await AsyncSqliteSaver(connection).setup()
            await connection.execute(_FENCES.format(integer="INTEGER"))
            await connection.commit()
        async with aiosqlite.connect(path, timeout=_SQLITE_BUSY_SECONDS, isolation_level=None) as connection:
            await AsyncSqliteStore(connection).setup()
        return
    async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as postgres:
        await postgres.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        await postgres.execute(f"SET search_path TO {_SCHEMA}")
        await AsyncPostgresSaver(postgres).setup()
        await AsyncPostgresStore(postgres).setup()
        await postgres.execute(_FENCES.format(integer="BIGINT"))


_FENCES = "CREATE TABLE IF NOT EXISTS fences (thread_id TEXT PRIMARY KEY, token {integer} NOT NULL)"
_RAISE_FENCE = (
    "INSERT INTO fences (thread_id, token) VALUES ({p}, {p}) "
    "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token WHERE fences.token < excluded.token"
)


# --- SQLite ---------------------------------------------------------------------------------------------------


class _WholeSqliteSaver(AsyncSqliteSaver):
    """A write that is refused leaves no transaction open: it would hold SQLite's lock against every other process."""

    async def aput(self, *args: Any, **kwargs: Any) -> RunnableConfig:
        """Store a checkpoint, or nothing."""
        async with self._whole():
            return await super().aput(*args, **kwargs)

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """Store a node's writes, or none of them."""
        async with self._whole():
            await super().aput_writes(*args, **kwargs)

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            async with self.lock:
                await self.conn.rollback()
            raise


class _SqliteSaver(_Gated, _WholeSqliteSaver):
    pass


_S = TypeVar("_S", bound=AsyncSqliteSaver)


class _Sqlite:
    """One connection for the whole process, so one lock too: its statements share one transaction."""

    def __init__(self, connection: aiosqlite.Connection, store: BaseStore) -> None:
        self._connection = connection
        self._store = store
        self._lock = asyncio.Lock()
        self._reader = self._share(AsyncSqliteSaver(connection))

    def reader(self) -> BaseCheckpointSaver[Any]:
        return self._reader

    def store(self, owner: str) -> BaseStore:
        return OwnedStore(self._store, owner)

    async def for_run(self, thread_id: UUID, token: int, gate: Gate) -> BaseCheckpointSaver[Any]:
        key = str(thread_id)
        async with self._transaction() as connection:
            await connection.execute(_RAISE_FENCE.format(p="?"), (key, token))
            await connection.execute("INSERT OR REPLACE INTO temp.held VALUES (?, ?)", (key, token))
            async with connection.execute("SELECT token FROM fences WHERE thread_id = ?", (key,)) as rows:
                row = await rows.fetchone()
        if row is None or row[0] != token:
            raise Fenced(_FENCED)
        saver = self._share(_SqliteSaver(self._connection))
        saver.gate = gate
        return saver

    async def let_go(self, thread_id: UUID, token: int) -> None:
        async with self._transaction() as connection:
            await connection.execute("DELETE FROM temp.held WHERE thread_id = ? AND token = ?", (str(thread_id), token))

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        key = str(thread_id)
        async with self._transaction() as connection:
            await connection.execute(_RAISE_FENCE.format(p="?"), (key, token))
            await connection.execute("DELETE FROM checkpoints WHERE thread_id = ?", (key,))
            await connection.execute("DELETE FROM writes WHERE thread_id = ?", (key,))

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


@asynccontextmanager
async def _open_sqlite(path: str) -> AsyncIterator[_Sqlite]:
    async with aiosqlite.connect(path, timeout=_SQLITE_BUSY_SECONDS) as connection:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.executescript(_HELD)
        async with _sqlite_store(path) as store:
            yield _Sqlite(connection, store)


@asynccontextmanager
async def _sqlite_store(path: str) -> AsyncIterator[AsyncSqliteStore]:
    """The store in a connection of its own: it begins and ends its transactions itself."""
    async with aiosqlite.connect(path, timeout=_SQLITE_BUSY_SECONDS, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = NORMAL")
        store = AsyncSqliteStore(connection)
        store.is_setup = True
        try:
            yield store
        finally:
            await _end_batching(store)


async def _end_batching(store: AsyncSqliteStore | AsyncPostgresStore) -> None:
    """End the store's own task, which would otherwise be destroyed with the loop while it waits."""
    if store._task is not None:
        store._task.cancel()
        await asyncio.gather(store._task, return_exceptions=True)


# --- Postgres -------------------------------------------------------------------------------------------------


class _PostgresSaver(_Gated, AsyncPostgresSaver):
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
            self.conn.connection() as connection,
            connection.transaction(),
            connection.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            await cursor.execute("SELECT token FROM fences WHERE thread_id = %s FOR SHARE", (self.thread_id,))
            row = await cursor.fetchone()
            if row is None or row["token"] != self.token:
                raise Fenced(_FENCED)
            yield cursor


class _Postgres:
    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        self._pool = pool
        self.official_store = AsyncPostgresStore(pool)
        self._reader = AsyncPostgresSaver(pool)

    def reader(self) -> BaseCheckpointSaver[Any]:
        return self._reader

    def store(self, owner: str) -> BaseStore:
        return OwnedStore(self.official_store, owner)

    async def for_run(self, thread_id: UUID, token: int, gate: Gate) -> BaseCheckpointSaver[Any]:
        key = str(thread_id)
        async with self._pool.connection() as connection:
            await connection.execute(_RAISE_FENCE.format(p="%s"), (key, token))
            cursor = await connection.execute("SELECT token FROM fences WHERE thread_id = %s", (key,))
            row = await cursor.fetchone()
        if row is None or row["token"] != token:
            raise Fenced(_FENCED)
        saver = _PostgresSaver(self._pool)
        saver.gate, saver.thread_id, saver.token = gate, key, token
        return saver

    async def let_go(self, thread_id: UUID, token: int) -> None:
        """Nothing is kept in this process."""

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        key = str(thread_id)
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_RAISE_FENCE.format(p="%s"), (key, token))
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
                await connection.execute(f"DELETE FROM {table} WHERE thread_id = %s", (key,))  # noqa: S608 - our words


@asynccontextmanager
async def _open_postgres(url: str, size: int) -> AsyncIterator[_Postgres]:
    options = {
        "autocommit": True,
        "prepare_threshold": 0,
        "row_factory": dict_row,
        "options": f"-c search_path={_SCHEMA}",
    }
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url, min_size=1, max_size=size, kwargs=options, open=False, check=AsyncConnectionPool.check_connection
    )
    async with pool:
        await pool.wait()
        savers = _Postgres(pool)
        try:
            yield savers
        finally:
            await _end_batching(savers.official_store)
