"""Cursors for a SQLite file that go to its connection's thread once a statement.

aiosqlite goes there and back to make a cursor, to execute, to fetch and to close it, and each way takes longer than
most of our statements. Here a query waits until its rows are wanted, so both are one way, and nothing is closed.
"""

from collections.abc import AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import Any, Self

import aiosqlite

_QUERIES = ("SELECT", "WITH")


class Connection:
    """What the official saver uses of a connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.commit, self.rollback = connection.commit, connection.rollback

    def cursor(self) -> "Cursor":
        """A cursor that has executed nothing."""
        return Cursor(self._connection)

    def execute(self, sql: str, parameters: Iterable[Any] = ()) -> "Cursor":
        """A cursor that executes this when it is awaited or entered."""
        return Cursor(self._connection, (sql, parameters))


class Cursor:
    """Gives the rows of a query once: one, all or one by one."""

    rowcount = -1

    def __init__(self, connection: aiosqlite.Connection, first: tuple[str, Iterable[Any]] | None = None) -> None:
        self._connection = connection
        self._first = first
        self._query: tuple[str, Iterable[Any]] | None = None

    def __await__(self) -> Generator[Any, None, "Cursor"]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if self._first is not None:
            await self.execute(*self._first)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._query = None

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> "Cursor":
        """Execute a statement; a query when its rows are wanted."""
        self._query = None
        if sql.lstrip().upper().startswith(_QUERIES):
            self._query = (sql, parameters)
        else:
            self.rowcount = (await self._connection.execute(sql, parameters)).rowcount
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> "Cursor":
        """Execute a statement for each of these."""
        self.rowcount = (await self._connection.executemany(sql, parameters)).rowcount
        return self

    async def fetchone(self) -> Any:
        """The first row of a query that has few; None when it has none."""
        return next(iter(await self.fetchall()), None)

    async def fetchall(self) -> list[Any]:
        """All rows."""
        return list(await self._connection.execute_fetchall(*self._asked()))

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Row by row, fetched some at a time."""
        async with self._connection.execute(*self._asked()) as rows:
            async for row in rows:
                yield row

    def _asked(self) -> tuple[str, Iterable[Any]]:
        if self._query is None:
            raise RuntimeError("There is no query whose rows were not given yet")
        asked, self._query = self._query, None
        return asked
