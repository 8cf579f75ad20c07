"""A thread's state and its history on the wire."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.wire.body import flag, number
from deerflow.api.wire.queries import HistoryWanted, StateWanted
from deerflow.api.wire.shown import CheckpointWritten, StateShown
from deerflow.api.wire.state import (
    History,
    StateAt,
    StateUpdate,
    empty_state,
    named_before,
    named_checkpoint,
)
from deerflow.authz import requires
from deerflow.domain.threads import Thread
from deerflow.identity import principal
from deerflow.runtime import edit
from deerflow.runtime.ask import thread_history, thread_state
from deerflow.storage import threads


def blueprint() -> Blueprint:
    """The routes of state; made anew for each mount."""
    bp = Blueprint("state", __name__, url_prefix="/threads/<id(thread):thread_id>")
    bp.get("/state")(get_state)
    bp.post("/state")(update_state)
    bp.post("/state/checkpoint")(get_state_at_checkpoint)
    bp.get("/state/<id(checkpoint):checkpoint_id>")(get_state_at)
    bp.get("/history")(get_history)
    bp.post("/history")(search_history)
    return bp


@describes(answer=StateShown, query=StateWanted)
@requires("threads:read")
def get_state(thread_id: UUID) -> Response:
    """What the thread's newest checkpoint says."""
    return _state(thread_id, {}, subgraphs=flag(request.args.get("subgraphs")))


@describes(answer=StateShown, query=StateWanted)
@requires("threads:read")
def get_state_at(thread_id: UUID, checkpoint_id: UUID) -> Response:
    """What one checkpoint says."""
    return _state(thread_id, {"checkpoint_id": str(checkpoint_id)}, subgraphs=flag(request.args.get("subgraphs")))


@describes(body=StateAt, answer=StateShown)
@requires("threads:read")
def get_state_at_checkpoint(thread_id: UUID) -> Response:
    """What one checkpoint says, named by its full object."""
    body = StateAt.read(request)
    return _state(thread_id, named_checkpoint(body.checkpoint), subgraphs=bool(body.subgraphs))


@describes(body=StateUpdate, answer=CheckpointWritten, errors={409: "A run is under way on the thread."})
@requires("threads:write")
def update_state(thread_id: UUID) -> Response:
    """Edit the state: always a new checkpoint, never during a run."""
    body = StateUpdate.read(request)
    checkpoint = named_checkpoint(body.checkpoint, body.checkpoint_id)
    written = edit.edit_state(
        backend(), principal(), thread_id, values=body.values, as_node=body.as_node, checkpoint=checkpoint
    )
    return json({"checkpoint": written, "configurable": written, "checkpoint_id": written["checkpoint_id"]})


@describes(answer=list[StateShown], query=HistoryWanted)
@requires("threads:read")
def get_history(thread_id: UUID) -> Response:
    """States, newest first, for whoever has only a URL."""
    before = {"checkpoint_id": request.args["before"]} if request.args.get("before") else None
    limit = number(request, "limit", default=1, least=1, most=1_000)
    return _history(thread_id, limit=limit, before=before, metadata=None, checkpoint={})


@describes(body=History, answer=list[StateShown])
@requires("threads:read")
def search_history(thread_id: UUID) -> Response:
    """States, newest first."""
    body = History.read(request)
    checkpoint = named_checkpoint(body.checkpoint)
    before = named_before(body.before)
    return _history(thread_id, limit=body.limit, before=before, metadata=body.metadata, checkpoint=checkpoint)


def _state(thread_id: UUID, checkpoint: dict[str, Any], *, subgraphs: bool) -> Response:
    thread = _thread(thread_id)
    if thread.graph_id is None:
        return json(empty_state(str(thread_id), checkpoint))
    return json(
        thread_state(backend(), principal(), thread, thread.graph_id, checkpoint=checkpoint, subgraphs=subgraphs)
    )


def _history(thread_id: UUID, **asked: Any) -> Response:
    thread = _thread(thread_id)
    if thread.graph_id is None:
        return json([])
    return json(thread_history(backend(), principal(), thread, thread.graph_id, **asked))


def _thread(thread_id: UUID) -> Thread:
    with backend().db.read() as tx:
        return threads.get(tx, principal(), thread_id)
