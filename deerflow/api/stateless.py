"""Stateless runs on the wire: each on a thread of its own that nobody else can name."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api import sse
from deerflow.api.begin import begin, begin_all
from deerflow.api.context import backend, json
from deerflow.api.describe import EVENTS, describes
from deerflow.api.follow import follow
from deerflow.api.mounts import current_mount
from deerflow.api.runs import (
    CREATING,
    REFUSED,
    cancel_action,
    find_run,
    start_watched,
    stream_found,
    wait_for,
    watch_client,
)
from deerflow.api.wire.queries import Cancelling, Streaming
from deerflow.api.wire.runs import CancelMany, RunCreate
from deerflow.api.wire.shown import RunShown
from deerflow.authz import requires
from deerflow.domain.ids import new_id
from deerflow.domain.runs import RunSpec
from deerflow.errors import NotFound
from deerflow.identity import principal
from deerflow.runtime.cancel import cancel_all, cancel_many

_MOST_RUNS = 100


def blueprint() -> Blueprint:
    """The routes of stateless runs; made anew for each mount."""
    bp = Blueprint("stateless", __name__, url_prefix="/runs")
    bp.post("")(create_stateless_run)
    bp.post("/stream")(stream_stateless_run)
    bp.post("/wait")(wait_for_stateless_run)
    bp.post("/batch")(create_stateless_runs)
    bp.post("/cancel")(cancel_runs)
    bp.get("/<id(run):run_id>/stream")(join_stateless_run)
    return bp


@describes(body=RunCreate, answer=RunShown, headers=CREATING, errors=REFUSED)
@requires("runs:create")
def create_stateless_run() -> Response:
    """Start a run in the background, on a thread of its own."""
    begun = begin(_spec(), new_id())
    return sse.name_stateless(json(begun.shown), current_mount(), begun.run)


@describes(body=RunCreate, produces=(EVENTS,), headers=CREATING, errors=REFUSED)
@requires("runs:create")
def stream_stateless_run() -> Response:
    """Start a run on a thread of its own and stream it."""
    watch = watch_client()
    begun = start_watched(watch, _spec(), new_id())
    mount, run = current_mount(), begun.run
    following = follow(run, after=begun.after)
    return sse.name_stateless(sse.stream(mount, run, following, watch), mount, run)


@describes(body=RunCreate, answer=Any, headers=CREATING, errors=REFUSED)
@requires("runs:create")
def wait_for_stateless_run() -> Response:
    """Start a run on a thread of its own and answer what it leaves."""
    watch = watch_client()
    return wait_for(start_watched(watch, _spec(), new_id()).run, watch)


@describes(body=list[RunCreate], answer=list[RunShown], headers=CREATING, errors=REFUSED)
@requires("runs:create")
def create_stateless_runs() -> Response:
    """Start several runs in the background, each on a thread of its own; all of them or none."""
    bodies = RunCreate.read_all(request, most=_MOST_RUNS)
    specs = [body.to_spec(current_mount(), stateless=True) for body in bodies]
    return json([begun.shown for begun in begin_all([(spec, new_id()) for spec in specs])])


@describes(body=CancelMany, status=204, query=Cancelling, errors={404: "There were none to stop."})
@requires("runs:cancel")
def cancel_runs() -> Response:
    """Stop several runs: of one thread by their ids, or all of the caller's that have a status."""
    asked, action = CancelMany.read(request), cancel_action(request.args.get("action"))
    if asked.thread_id is not None:
        count = cancel_many(backend(), principal(), action, thread_id=asked.thread_id, run_ids=asked.run_ids or [])
    else:
        count = cancel_all(backend(), principal(), action, asked.statuses())
    if not count:
        raise NotFound("No runs found to cancel.")
    return Response(status=204)


@describes(produces=(EVENTS,), query=Streaming, headers=("Last-Event-ID",), also={204: "It has stopped."})
@requires("runs:read")
def join_stateless_run(run_id: UUID) -> Response:
    """Follow a run by its id alone, from ``Last-Event-ID``."""
    run = find_run(run_id)
    return sse.name_stateless(stream_found(run), current_mount(), run)


def _spec() -> RunSpec:
    return RunCreate.read(request).to_spec(current_mount(), stateless=True)
