"""A state worker in the test's own process: real handlers, real Redis; only the message is not Celery's."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.events.connections import connect_async
from deerflow.graphs.handlers import Handlers
from deerflow.runtime.answer import answer
from tests.conftest import SilentBell


class AnsweringBell(SilentBell):
    """Answers what it is asked at once. ``away``: nobody is there to answer. *parts*: of its backend, beside these."""

    def __init__(self, redis_url: str, handlers: Handlers | None, **parts: Any) -> None:
        super().__init__()
        self.away = False
        self.asked: list[dict[str, Any]] = []
        self._redis_url, self._parts = redis_url, {**parts, "handlers": handlers}

    def kinds(self, kind: str) -> int:
        """How many questions of a kind there were."""
        return sum(question["kind"] == kind for question in self.asked)

    def ask(self, _question_id: UUID, question: dict[str, Any], **_options: object) -> None:
        self.asked.append(question)
        if not self.away:
            asyncio.run(self._answer(question))

    async def _answer(self, question: dict[str, Any]) -> None:
        client = connect_async(self._redis_url)
        try:
            await answer(cast(WorkerBackend, SimpleNamespace(**self._parts, redis=client)), question)
        finally:
            await client.aclose()
