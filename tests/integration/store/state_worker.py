"""A state worker on a thread of the test's process: real store, handlers and Redis; the message is not Celery's."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from deerflow import project
from deerflow.backend import WorkerBackend
from deerflow.events.connections import connect_async
from deerflow.graphs.embedding import Embedding
from deerflow.graphs.handlers import Handlers
from deerflow.graphs.savers import open_savers, set_up
from deerflow.runtime.answer import answer
from deerflow.settings import Settings
from tests.conftest import SilentBell


class WorkerBell(SilentBell):
    """A bell that is heard in this process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.worker: Any = None

    def ask(self, _question_id: UUID, question: dict[str, Any], **_options: object) -> None:
        self._later(answer(cast(WorkerBackend, self.worker), question))

    def do(self, act: Any) -> Any:
        """What an awaitable of the worker's loop gives."""
        return self._later(act).result(30)

    def rows(self, query: str) -> list[Any]:
        """What the worker's database answers."""
        return list(self.do(self._fetch(query)))

    async def _fetch(self, query: str) -> list[Any]:
        savers = self.worker.savers
        if hasattr(savers, "official_store"):
            async with savers._pool.connection() as connection:
                return [tuple(row.values()) for row in await (await connection.execute(query)).fetchall()]
        return list(await savers._store._fetch(query))

    def _later(self, act: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(act, self._loop)


@contextmanager
def working(settings: Settings) -> Iterator[WorkerBell]:
    """A bell with a worker that answers, for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    bell = WorkerBell(loop)
    opened, closed = threading.Event(), asyncio.Event()
    work = bell._later(_work(settings, bell, opened, closed))
    while not opened.wait(0.05):
        assert not work.done(), work.exception()
    try:
        yield bell
    finally:
        loop.call_soon_threadsafe(closed.set)
        work.result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _work(settings: Settings, bell: WorkerBell, opened: threading.Event, closed: asyncio.Event) -> None:
    found = project.load(settings.project_file)
    await set_up(settings.checkpoints, found.store.index)
    embedding, handlers = Embedding.load(found), Handlers.load(found)
    client = connect_async(settings.redis)
    async with open_savers(settings.checkpoints, store=found.store, embedding=embedding) as savers:
        bell.worker = SimpleNamespace(savers=savers, handlers=handlers, redis=client)
        opened.set()
        await closed.wait()
    await client.aclose()
