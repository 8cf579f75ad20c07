"""Threads on the wire."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.begin import begun_before, once
from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.body import many
from deerflow.api.wire.queries import ThreadQuery
from deerflow.api.wire.shown import Pruned, ThreadPart, ThreadShown
from deerflow.api.wire.threads import (
    ThreadCreate,
    ThreadPatch,
    ThreadPrune,
    ThreadSearch,
    ThreadWanted,
    present_thread,
    present_ttl,
)
from deerflow.authz import granted, require, requires
from deerflow.domain.ids import new_id
from deerflow.domain.threads import Thread, Ttl
from deerflow.domain.words import TtlStrategy
from deerflow.errors import Conflict, NotFound
from deerflow.identity import principal
from deerflow.runtime import build, prune
from deerflow.runtime.remove import remove_thread
from deerflow.storage import thread_search, threads
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
    bp.post("/prune")(prune_threads)
    bp.post("/<id(thread):thread_id>/copy")(copy_thread)
    return bp


@describes(
    body=ThreadCreate,
    answer=ThreadShown,
    headers=("Idempotency-Key",),
    errors={
        400: "The graph does not take the supersteps, or none is named for them.",
        404: "There is no such graph for the supersteps.",
        409: "The id is taken, or the key belongs to another request.",
    },
)
@requires("threads:write", on=("threads", "create"))
def create_thread() -> Response:
    """Create a thread; ``if_exists: do_nothing`` answers the caller's existing one. `supersteps` give it a past."""
    body = ThreadCreate.read(request)
    if body.supersteps:
        return begun_before(_created_before) or _create_with_past(body)
    return _once(lambda tx: _create(tx, body))


@describes(
    answer=ThreadShown,
    headers=("Idempotency-Key",),
    errors={409: "There is no such thread, or the key belongs to another request."},
)
@requires("threads:write", on=("threads", "create"))
def copy_thread(thread_id: UUID) -> Response:
    """Copy a thread with its checkpoints, without its runs; the copy is the caller's."""
    left = granted(request)
    require("threads:read")  # the source; from here on a filter of the project's handlers is that for reading
    repeat = begun_before(_created_before)
    if repeat is not None:
        return repeat
    with backend().db.read() as tx:
        source = build.require_source(tx, principal(), thread_id)
    built = build.copy_thread(backend(), principal(), source, new_id())
    if left is not None:  # what a handler of the project wants in a new thread's metadata
        built = replace(built, metadata={**built.metadata, **(left.get("metadata") or {})})
    return _once(lambda tx: build.settle(tx, principal(), built))


@describes(answer=ThreadShown, query=ThreadQuery)
@requires("threads:read")
def get_thread(thread_id: UUID) -> Response:
    """One thread; with `include=ttl` also how long it is kept."""
    with backend().db.read() as tx:
        thread = threads.get(tx, principal(), thread_id)
    ttl = present_ttl(thread) if "ttl" in many(request, "include") else {}
    return json(present_thread(thread) | ttl)


@describes(
    body=ThreadPatch,
    answer=ThreadShown,
    headers=("Prefer",),
    also={204: "It is done, and nothing was wanted in return."},
)
@requires("threads:write")
def change_thread(thread_id: UUID) -> Response:
    """Merge metadata into a thread, or set how long it is kept; ``Prefer: return=minimal`` answers 204."""
    body = ThreadPatch.read(request)
    ttl = body.ttl.to_ttl() if body.ttl else None
    with backend().db.begin() as tx:
        thread = threads.change(tx, principal(), thread_id, body.metadata or {}, ttl=ttl)
    if "return=minimal" in request.headers.get("Prefer", ""):
        return Response(status=204)
    return json(present_thread(thread))


@describes(body=ThreadSearch, answer=list[ThreadPart])
@requires("threads:read", on=("threads", "search"))
def search_threads() -> Response:
    """A page of threads, last changed first unless asked otherwise; headers say whether there are more."""
    asked = ThreadSearch.read(request)
    show = asked.shower()
    with backend().db.read() as tx:
        found = thread_search.search(
            tx,
            principal(),
            asked.to_filter(),
            sort_by=asked.sort_by or "updated_at",
            descending=asked.sort_order != "asc",
            limit=asked.limit + 1,
            offset=asked.offset,
            without=asked.unread(),
        )
    return page_of(found, show, limit=asked.limit, offset=asked.offset)


@describes(body=ThreadWanted, answer=int)
@requires("threads:read", on=("threads", "search"))
def count_threads() -> Response:
    """How many threads there are of a kind."""
    wanted = ThreadWanted.read(request).to_filter()
    with backend().db.read() as tx:
        return json(thread_search.count(tx, principal(), wanted))


@describes(body=ThreadPrune, answer=Pruned)
@requires("threads:delete")
def prune_threads() -> Response:
    """Delete threads (``strategy: delete``), or their past but the newest checkpoints (``keep_latest``)."""
    body = ThreadPrune.read(request)
    thread_ids = list(dict.fromkeys(body.thread_ids))
    if body.strategy is TtlStrategy.KEEP_LATEST:
        count = prune.keep_latest(backend(), principal(), thread_ids)
    else:
        count = prune.delete_threads(backend(), principal(), thread_ids, address=request.remote_addr)
    return json({"pruned_count": count})


@describes(status=204)
@requires("threads:delete")
def delete_thread(thread_id: UUID) -> Response:
    """Delete a thread with its runs and checkpoints; what runs on it is stopped."""
    remove_thread(backend(), principal(), thread_id, address=request.remote_addr)
    return Response(status=204)


def _once(make: Callable[[Tx], Thread]) -> Response:
    return once(lambda tx: present_thread(make(tx)), _created_before)


def _create(tx: Tx, body: ThreadCreate) -> Thread:
    thread_id = body.thread_id or new_id()
    try:
        return threads.create(tx, principal(), thread_id, body.metadata or {}, ttl=_ttl(body))
    except Conflict:
        if body.if_exists != "do_nothing":
            raise
    return _existing(tx, thread_id)


def _create_with_past(body: ThreadCreate) -> Response:
    thread_id = body.thread_id or new_id()
    supersteps = [superstep.told() for superstep in body.supersteps or []]
    try:
        built = build.build_thread(
            backend(), principal(), thread_id, metadata=body.metadata or {}, ttl=_ttl(body), supersteps=supersteps
        )
    except Conflict:
        if body.if_exists != "do_nothing":
            raise
        with backend().db.read() as tx:
            return json(present_thread(_existing(tx, thread_id)))
    return _once(lambda tx: build.settle(tx, principal(), built))


def _existing(tx: Tx, thread_id: UUID) -> Thread:
    try:
        return threads.get(tx, principal(), thread_id)
    except NotFound:  # a stranger's id stays taken
        raise threads.taken(thread_id) from None


def _ttl(body: ThreadCreate) -> Ttl | None:
    """What is said of how long a new thread is kept, or what langgraph.json says of all."""
    return body.ttl.to_ttl() if body.ttl else backend().thread_ttl


def _created_before(tx: Tx, shown: dict[str, Any]) -> dict[str, Any]:
    """The thread as it is now, or as it was first told when it has gone since."""
    try:
        return present_thread(threads.get(tx, principal(), UUID(shown["thread_id"])))
    except NotFound:
        return shown
