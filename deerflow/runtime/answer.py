"""Answer a question in the state worker: the other end of ask."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.steps import Step
from deerflow.domain.threads import ThreadHead
from deerflow.errors import Fenced, HandlerFailed, HandlerRefused
from deerflow.events.answers import give
from deerflow.graphs import jsonable
from deerflow.graphs.embedding import EmbeddingFailed
from deerflow.graphs.gate import Gate
from deerflow.graphs.handlers import Handlers
from deerflow.graphs.items import ItemRefused, carry_out
from deerflow.graphs.outline import OutlineRefused, draw, schemas, subgraphs
from deerflow.graphs.registry import Access, Graph, GraphBroken
from deerflow.graphs.start import known_of
from deerflow.graphs.state import EditRefused, get_history, get_state, replay, update_state
from deerflow.graphs.steps import steps_of
from deerflow.graphs.stream import read_head
from deerflow.logs import bound
from deerflow.storage import audit, cancels, threads

log = logging.getLogger(__name__)

_TO_TELL_SECONDS = 1.0
"""So long before nobody waits any more is told that a handler has not answered."""


async def answer(backend: WorkerBackend, question: dict[str, Any]) -> None:
    """Answer one question; one that nobody waits for any more is dropped."""
    if question["expires_at"] < time.time():
        return
    with bound(question=question["kind"]):
        try:
            told: dict[str, Any] = {"answer": await _KINDS[question["kind"]](backend, question)}
        except GraphBroken as error:
            told = {"problem": str(error)}
        except Fenced:
            told = {"problem": "A run has started on the thread meanwhile", "kind": "conflict"}
        except EmbeddingFailed as error:
            told = {"problem": str(error)}
        except (EditRefused, OutlineRefused, ItemRefused) as error:
            told = {"problem": str(error), "kind": "bad_request"}
        except HandlerRefused as error:
            told = {"problem": str(error), "kind": "refused", "status": error.status, "headers": error.headers}
        except HandlerFailed as error:
            log.exception("A handler of the project failed")
            told = {"problem": str(error), "kind": "handler_failed"}
        except Exception:  # the asker must hear something; the stack is ours alone
            log.exception("A question could not be answered")
            told = {"problem": "The state worker could not answer; its log says why"}
        await give(backend.redis, UUID(question["id"]), jsonable.dumps(told))


async def _state(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    async with _graph(backend, question, "threads.read") as graph:
        return await get_state(
            graph,
            backend.savers.reader(),
            UUID(question["thread_id"]),
            question["checkpoint"],
            subgraphs=question["subgraphs"],
        )


async def _history(backend: WorkerBackend, question: dict[str, Any]) -> list[dict[str, Any]]:
    async with _graph(backend, question, "threads.read") as graph:
        return await get_history(
            graph,
            backend.savers.reader(),
            UUID(question["thread_id"]),
            question["checkpoint"],
            limit=question["limit"],
            before=question["before"],
            metadata=question["metadata"],
        )


async def _steps(backend: WorkerBackend, question: dict[str, Any]) -> list[Step]:
    thread_id, run_id = UUID(question["thread_id"]), UUID(question["run_id"])
    async with _in_time(question, "The store of checkpoints"), _graph(backend, question, "threads.read") as graph:
        return await steps_of(graph, backend.savers.reader(), thread_id, run_id, most=question["most"])


async def _update(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    """Edit, and write what the edit leaves on the thread's row; a claim in between refuses both."""
    thread_id, token = UUID(question["thread_id"]), question["token"]
    saver = await backend.savers.for_run(thread_id, token, _gate(question))
    try:
        async with _graph(backend, question, "threads.update") as graph:
            written = await update_state(
                graph,
                saver,
                thread_id,
                question["checkpoint"],
                values=question["values"],
                as_node=question["as_node"],
                graph_id=question["graph_id"],
            )
            head = await read_head(graph, backend.savers.reader(), thread_id)
    finally:
        await backend.savers.let_go(thread_id, token)
    if head is not None:
        await backend.sql(_settle, backend, thread_id, token, head)
    return written


async def _copy(backend: WorkerBackend, question: dict[str, Any]) -> ThreadHead | None:
    """Copy a thread's checkpoints; what the copy's newest one says, None where only a graph that is not there knows."""
    source_id, thread_id, token = UUID(question["source_id"]), UUID(question["thread_id"]), question["token"]
    gate = _gate(question)
    await gate.write(lambda: backend.savers.copy_thread(source_id, thread_id, token))
    if question["graph_id"] is None:
        return None
    try:
        async with _graph(backend, question, "threads.read") as graph:
            return await read_head(graph, backend.savers.reader(), thread_id)
    except GraphBroken:
        log.warning("A thread is copied whose graph cannot be used", extra={"thread_id": thread_id})
        return None


async def _build(backend: WorkerBackend, question: dict[str, Any]) -> ThreadHead | None:
    """Write the checkpoints of a thread that is not there yet, superstep by superstep; all of them or none."""
    thread_id, token = UUID(question["thread_id"]), question["token"]
    saver = await backend.savers.for_run(thread_id, token, _gate(question))
    try:
        async with _graph(backend, question, "threads.update") as graph:
            await replay(graph, saver, thread_id, question["supersteps"], graph_id=question["graph_id"])
            return await read_head(graph, backend.savers.reader(), thread_id)
    except (EditRefused, GraphBroken):
        await backend.savers.remove_thread(thread_id, token + 1)
        raise
    finally:
        await backend.savers.let_go(thread_id, token)


async def _prune(backend: WorkerBackend, question: dict[str, Any]) -> int:
    """Prune threads; how many. Left out are those that a run has taken since, and those that cannot be pruned."""
    pruned, gate = 0, _gate(question)
    for thread_id, token in question["threads"]:
        with suppress(Fenced):
            act = partial(backend.savers.prune_thread, UUID(thread_id), token)
            pruned += await gate.write(act)
    return pruned


async def _remove_run(backend: WorkerBackend, question: dict[str, Any]) -> None:
    """Remove a run that has ended: its checkpoints, then its row with what its thread showed of it."""
    thread_id, run_id, token = UUID(question["thread_id"]), UUID(question["run_id"]), question["token"]
    await backend.savers.for_run(thread_id, token, _gate(question), run_id=run_id)
    try:
        await backend.savers.roll_back(thread_id, token, run_id)
    finally:
        await backend.savers.let_go(thread_id, token)
    await backend.sql(_drop_run, backend, run_id, question)
    async with _graph(backend, question, "threads.update") as graph:
        head = await read_head(graph, backend.savers.reader(), thread_id)
    await backend.sql(_settle, backend, thread_id, token, head)


async def _drawing(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    async with _assistants_graph(backend, question) as graph:
        return await draw(graph, xray=question["xray"])


async def _schemas(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    async with _assistants_graph(backend, question) as graph:
        return schemas(graph)


async def _subgraphs(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    async with _assistants_graph(backend, question) as graph:
        return await subgraphs(graph, namespace=question["namespace"], recurse=question["recurse"])


@asynccontextmanager
async def _assistants_graph(backend: WorkerBackend, question: dict[str, Any]) -> AsyncIterator[Graph]:
    """The graph as this caller's run of this assistant would have it, to be looked at and given up in time."""
    graph_id, asked = question["graph_id"], question["config"]
    ids = {"graph_id": graph_id, "assistant_id": question["assistant_id"]}
    caller = known_of(question["user"], question["owner"])
    config: Any = {**asked, "configurable": {**asked.get("configurable", {}), **caller, **ids}}
    store, context = backend.savers.store(question["owner"]), question["context"]
    try:
        async with (
            asyncio.timeout(question["expires_at"] - time.time() - _TO_TELL_SECONDS),
            backend.graphs.open(graph_id, config, store, access="assistants.read", context=context) as graph,
        ):
            yield graph
    except GraphBroken:
        raise
    except TimeoutError as error:
        raise GraphBroken(f"Graph '{graph_id}' was not made in time; try again") from error
    except Exception as error:  # factories are the user's, and may fail in any way
        log.exception("A graph could not be looked at", extra={"graph_id": graph_id})
        message = jsonable.describe_error(error)["message"]
        raise OutlineRefused(f"Graph '{graph_id}' cannot be looked at as this assistant has it: {message}") from error


async def _store(backend: WorkerBackend, question: dict[str, Any]) -> Any:
    """Do what the store API wants, in the time that it waits: a write that is given up later is not made."""
    async with _in_time(question, "The store"):
        return await carry_out(backend.savers.store(question["owner"]), question["act"], question["asked"])


async def _authenticate(backend: WorkerBackend, question: dict[str, Any]) -> dict[str, Any]:
    """Who is calling, and for the asker's memory: what the handler looked at, and what else has a handler."""
    handlers = _handlers(backend)
    async with _in_time(question, "The project's authentication"):
        user = await handlers.authenticate(question["request"])
    return {"user": user, "sees": handlers.sees, "on": handlers.on}


async def _authorize(backend: WorkerBackend, question: dict[str, Any]) -> list[dict[str, Any]]:
    """What becomes of each of several values; the first that is refused refuses them all."""
    handlers, told = _handlers(backend), []
    for value in question["values"]:
        async with _in_time(question, "The project's authentication"):
            verdict = await handlers.authorize(question["user"], question["resource"], question["action"], value)
        told.append({"value": verdict.value, "filter": verdict.filter})
    return told


@asynccontextmanager
async def _in_time(question: dict[str, Any], who: str) -> AsyncIterator[None]:
    """Give up what nobody will have waited for: handlers and embeddings that hang must not gather here."""
    try:
        async with asyncio.timeout(question["expires_at"] - time.time() - _TO_TELL_SECONDS):
            yield
    except TimeoutError as error:
        log.warning("A part of the project has not answered in time", extra={"who": who})
        raise GraphBroken(f"{who} has not answered in time; try again") from error


def _handlers(backend: WorkerBackend) -> Handlers:
    if backend.handlers is None:
        raise GraphBroken("The project's authentication cannot be used; the log of the state worker says why")
    return backend.handlers


def _gate(question: dict[str, Any]) -> Gate:
    """An edit says nothing that would have to be stored first, and waits for the store as long as it is waited for."""
    return Gate(_nothing_before, lambda: bool(time.time() < question["expires_at"]))


def _graph(backend: WorkerBackend, question: dict[str, Any], access: Access) -> AbstractAsyncContextManager[Graph]:
    config: Any = {
        "configurable": {"thread_id": question["thread_id"], **known_of(question.get("user"), question["owner"])}
    }
    store = backend.savers.store(question["owner"])
    return backend.graphs.open(question["graph_id"], config, store, access=access)


def _settle(backend: WorkerBackend, thread_id: UUID, token: int, head: ThreadHead | None) -> None:
    with backend.db.begin() as tx:
        threads.settle_edit(tx, thread_id, fence=token, head=head)


def _drop_run(backend: WorkerBackend, run_id: UUID, question: dict[str, Any]) -> None:
    with backend.db.begin() as tx:
        if cancels.remove(tx, run_id):
            by = {"actor": question.get("actor", question["owner"]), "address": question.get("address")}
            audit.note(tx, "run.delete", subject=str(run_id), thread_id=question["thread_id"], **by)


async def _nothing_before() -> None:
    return


_KINDS: dict[str, Callable[[WorkerBackend, dict[str, Any]], Awaitable[Any]]] = {
    "state": _state,
    "history": _history,
    "steps": _steps,
    "update": _update,
    "copy": _copy,
    "build": _build,
    "prune": _prune,
    "remove_run": _remove_run,
    "drawing": _drawing,
    "schemas": _schemas,
    "subgraphs": _subgraphs,
    "store": _store,
    "authenticate": _authenticate,
    "authorize": _authorize,
}
