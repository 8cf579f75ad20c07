"""Threads on the wire."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.begin import idempotency_key, say_replayed
from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.shown import ThreadPart, ThreadShown
from deerflow.api.wire.threads import ThreadCreate, ThreadPatch, ThreadSearch, ThreadWanted, present_thread
from deerflow.authz import requires
from deerflow.domain.ids import new_id
from deerflow.domain.threads import Thread
from deerflow.errors import Conflict, NotFound
from deerflow.identity import principal
from deerflow.runtime.remove import remove_thread
from deerflow.storage import idempotency, threads
from deerflow.storage.database import Tx


def blueprint() -> Blueprint:
    """The routes of threads; made anew for each mount."""
    bp = Blueprint("threads", __name__, url_prefix="/threads")
    bp.post("")(create_thread)
    bp.get("/<id(thread):thread_id>")(get_thread)
    bp.patch("/<id(thread):thread_id>")(change_thread)
    bp.delete("/<id(thread):thread_id>")(delete_thread)
    bp.post("/search")(search_threads)
    bp.post("/count")(count_threads)
    return bp


@describes(
    body=ThreadCreate,
    answer=ThreadShown,
    headers=("Idempotency-Key",),
    errors={409: "The id is taken, or the key belongs to another request."},
)
@requires("threads:write", on=("threads", "create"))
def create_thread() -> Response:
    """Create a thread; ``if_exists: do_nothing`` answers the caller's existing one."""
    body = ThreadCreate.read(request)
    body.refuse_what_comes_later()
    key, resources, caller = idempotency_key(), backend(), principal()
    with resources.db.begin() as tx:
        if key is not None:
            noted = idempotency.take(tx, caller, key, keep_seconds=resources.rules.idempotency_seconds)
            if noted is not None:
                say_replayed()
                return json(_created_before(tx, noted))
        shown = present_thread(_create(tx, body))
        if key is not None:
            idempotency.note(tx, caller, key, shown)
    return json(shown)


@describes(answer=ThreadShown)
@requires("threads:read")
def get_thread(thread_id: UUID) -> Response:
    """One thread."""
    with backend().db.read() as tx:
        return json(present_thread(threads.get(tx, principal(), thread_id)))


@describes(
    body=ThreadPatch,
    answer=ThreadShown,
    headers=("Prefer",),
    also={204: "It is done, and nothing was wanted in return."},
)
@requires("threads:write")
def change_thread(thread_id: UUID) -> Response:
    """Merge metadata into a thread; ``Prefer: return=minimal`` answers 204."""
    body = ThreadPatch.read(request)
    body.refuse_what_comes_later()
    with backend().db.begin() as tx:
        thread = threads.merge_metadata(tx, principal(), thread_id, body.metadata or {})
    if "return=minimal" in request.headers.get("Prefer", ""):
        return Response(status=204)
    return json(present_thread(thread))


@describes(body=ThreadSearch, answer=list[ThreadPart])
@requires("threads:read", on=("threads", "search"))
def search_threads() -> Response:
    """A page of threads, last changed first unless asked otherwise; headers say whether there are more."""
    asked = ThreadSearch.read(request)
    asked.refuse_what_comes_later()
    with backend().db.read() as tx:
        found = threads.search(
            tx,
            principal(),
            asked.to_filter(),
            sort_by=asked.sort_by or "updated_at",
            descending=asked.sort_order != "asc",
            limit=asked.limit + 1,
            offset=asked.offset,
        )
    return page_of(found, asked.shown, limit=asked.limit, offset=asked.offset)


@describes(body=ThreadWanted, answer=int)
@requires("threads:read", on=("threads", "search"))
def count_threads() -> Response:
    """How many threads there are of a kind."""
    wanted = ThreadWanted.read(request).to_filter()
    with backend().db.read() as tx:
        return json(threads.count(tx, principal(), wanted))


@describes(status=204)
@requires("threads:delete")
def delete_thread(thread_id: UUID) -> Response:
    """Delete a thread with its runs and checkpoints; what runs on it is stopped."""
    remove_thread(backend(), principal(), thread_id, address=request.remote_addr)
    return Response(status=204)


def _create(tx: Tx, body: ThreadCreate) -> Thread:
    thread_id = body.thread_id or new_id()
    try:
        return threads.create(tx, principal(), thread_id, body.metadata or {})
    except Conflict:
        if body.if_exists != "do_nothing":
            raise
    try:
        return threads.get(tx, principal(), thread_id)
    except NotFound:  # a stranger's id stays taken
        raise threads.taken(thread_id) from None


def _created_before(tx: Tx, shown: dict[str, Any]) -> dict[str, Any]:
    """The thread as it is now, or as it was first told when it has gone since."""
    try:
        return present_thread(threads.get(tx, principal(), UUID(shown["thread_id"])))
    except NotFound:
        return shown
