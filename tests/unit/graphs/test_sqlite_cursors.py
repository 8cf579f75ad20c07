"""Cursors that go to their connection's thread once a statement give what aiosqlite's own give."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from deerflow.graphs.sqlite_cursors import Connection

_MANY = 200  # more than aiosqlite fetches at once


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[aiosqlite.Connection, Connection]]:
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
        yield connection, Connection(connection)


def _in_database(act: Callable[[aiosqlite.Connection, Connection], Awaitable[None]]) -> None:
    async def body() -> None:
        async with _opened() as (connection, ours):
            await act(connection, ours)

    asyncio.run(body())


async def _fill(ours: Connection) -> None:
    async with ours.cursor() as cursor:
        await cursor.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(_MANY)])
        assert cursor.rowcount == _MANY
    await ours.commit()


def test_rows_come_one_all_or_one_by_one_beside_another_cursor() -> None:
    async def act(_: aiosqlite.Connection, ours: Connection) -> None:
        await _fill(ours)
        async with ours.cursor() as cursor:
            await cursor.execute("SELECT n FROM numbers WHERE n = ?", (3,))
            assert await cursor.fetchone() == (3,)
            await cursor.execute("SELECT n FROM numbers WHERE n < 0")
            assert await cursor.fetchone() is None
            await cursor.execute("SELECT n FROM numbers WHERE n < 2")
            assert await cursor.fetchall() == [(0,), (1,)]
        async with ours.execute("SELECT n FROM numbers ORDER BY n") as rows, ours.cursor() as other:
            seen = []
            async for (n,) in rows:
                await other.execute("SELECT ? + n FROM numbers WHERE n = ?", (n, n))
                seen.append(await other.fetchone())
            assert seen == [(2 * n,) for n in range(_MANY)]

    _in_database(act)


def test_what_writes_is_executed_at_once_and_rolled_back_as_ever() -> None:
    async def act(connection: aiosqlite.Connection, ours: Connection) -> None:
        async with ours.execute("INSERT OR IGNORE INTO numbers VALUES (1), (2)") as made:
            assert made.rowcount == 2
        await ours.rollback()
        assert await connection.execute_fetchall("SELECT n FROM numbers") == []
        await ours.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError):
            await ours.execute("INSERT INTO numbers VALUES (1)")

    _in_database(act)


def test_rows_are_given_once() -> None:
    async def act(_: aiosqlite.Connection, ours: Connection) -> None:
        cursor = await ours.execute("SELECT 1")
        assert await cursor.fetchall() == [(1,)]
        with pytest.raises(RuntimeError):
            await cursor.fetchall()

    _in_database(act)


def test_the_official_saver_reads_a_checkpoint_by_two_ways_to_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """And reads and lists with ours what it does with its own."""
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    ways: list[Any] = []
    execute = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, *args: Any, **kwargs: Any) -> Any:
        ways.append(args)
        return await execute(self, *args, **kwargs)

    async def act(connection: aiosqlite.Connection, ours: Connection) -> None:
        official, with_ours = AsyncSqliteSaver(connection), AsyncSqliteSaver(ours)  # type: ignore[arg-type]
        await official.setup()
        with_ours.is_setup = True
        at = config
        for step in range(3):
            at = await with_ours.aput(at, empty_checkpoint(), {"source": "loop", "step": step, "parents": {}}, {})
            await with_ours.aput_writes({"configurable": {**at["configurable"]}}, [("channel", step)], "task")
        assert await with_ours.aget_tuple(at) == await official.aget_tuple(at)
        assert [t async for t in with_ours.alist(config)] == [t async for t in official.alist(config)]
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        newest = await with_ours.aget_tuple(config)
        assert newest is not None
        assert newest.pending_writes == [("task", "channel", 2)]
        assert len(ways) == 2

    _in_database(act)
