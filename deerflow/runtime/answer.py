"""Answer a question in the state worker: the other end of ask."""

import logging
import time
from typing import Any
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.events.answers import give
from deerflow.graphs import jsonable
from deerflow.graphs.registry import GraphBroken
from deerflow.graphs.state import get_state
from deerflow.logs import bound

log = logging.getLogger(__name__)


async def answer(backend: WorkerBackend, question: dict[str, Any]) -> None:
    """Answer one question; one that nobody waits for any more is dropped."""
    if question["expires_at"] < time.time():
        return
    with bound(question=question["kind"]):
        try:
            told: dict[str, Any] = {"answer": await _KINDS[question["kind"]](backend, question)}
        except GraphBroken as error:
            told = {"problem": str(error)}
        except Exception:  # the asker must hear something; the stack is ours alone
            log.exception("A question could not be answered")
            told = {"problem": "The state worker could not answer; its log says why"}
        await give(backend.redis, UUID(question["id"]), jsonable.dumps(told))


async def _state(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    thread_id, store = UUID(question["thread_id"]), backend.savers.store(question["owner"])
    config: Any = {"configurable": {"thread_id": str(thread_id), "user_id": question["owner"]}}
    async with backend.graphs.open(question["graph_id"], config, store) as graph:
        return await get_state(graph, backend.savers.reader(), thread_id, subgraphs=question["subgraphs"])


_KINDS = {"state": _state}
