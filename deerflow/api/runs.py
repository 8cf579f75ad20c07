"""Runs on the wire."""

import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, after_this_request, request

from deerflow.api import polling, sse
from deerflow.api.begin import Begun, begin
from deerflow.api.context import backend, json
from deerflow.api.describe import EVENTS, describes
from deerflow.api.follow import follow
from deerflow.api.hub import ClientWatch
from deerflow.api.mounts import current_mount
from deerflow.api.wire.body import flag, many, page_wanted
from deerflow.api.wire.queries import CancellingOne, JoiningAs, RunsWanted, Streaming
from deerflow.api.wire.runs import RunCreate, present_outcome
from deerflow.api.wire.shown import Nothing, RunPart, RunShown
from deerflow.authz import require, requires
from deerflow.domain.presented import present_run
from deerflow.domain.runs import Ended, Followed, RunSpec
from deerflow.domain.words import CancelAction, OnDisconnect, RunStatus
from deerflow.errors import Invalid, NotFound, Unavailable
from deerflow.identity import principal
from deerflow.runtime.cancel import AlreadyEnded, cancel, left_of
from deerflow.runtime.join import Refused, outcome
from deerflow.runtime.remove import remove_run
from deerflow.storage import runs, threads

log = logging.getLogger(__name__)

CREATING = ("Idempotency-Key", "Last-Event-ID", "x-request-id")
REFUSED = {
    404: "There is no such thread or assistant.",
    409: "The thread is busy, or the key belongs to another request.",
    429: "Too many runs wait on the thread.",
}


def blueprint() -> Blueprint:
    """The routes of runs; made anew for each mount."""
    bp = Blueprint("runs", __name__, url_prefix="/threads/<id(thread):thread_id>/runs")
    bp.post("")(create_run)
    bp.post("/stream")(stream_new_run)
    bp.post("/wait")(wait_for_new_run)
    bp.get("")(list_runs)
    bp.get("/<id(run):run_id>")(polling.get_run)
    bp.delete("/<id(run):run_id>")(delete_run)
    bp.get("/<id(run):run_id>/events")(polling.list_events)
    bp.post("/<id(run):run_id>/cancel")(cancel_run)
    bp.get("/<id(run):run_id>/join")(join_run)
    bp.route("/<id(run):run_id>/stream", methods=["GET", "POST"])(stream_run)
    return bp


@describes(body=RunCreate, answer=RunShown, headers=CREATING, errors=REFUSED)
@requires("runs:create")
def create_run(thread_id: UUID) -> Response:
    """Start a run in the background."""
    begun = begin(RunCreate.read(request).to_spec(current_mount()), thread_id)
    return sse.name_run(json(begun.shown), current_mount(), begun.run)


@describes(body=RunCreate, produces=(EVENTS,), headers=CREATING, errors=REFUSED)
@requires("runs:create")
def stream_new_run(thread_id: UUID) -> Response:
    """Start a run and stream it."""
    watch = watch_client()
    begun = start_watched(watch, RunCreate.read(request).to_spec(current_mount()), thread_id)
    return sse.stream(current_mount(), begun.run, follow(begun.run, after=begun.after), watch)


@describes(body=RunCreate, answer=Any, headers=CREATING, errors=REFUSED)
@requires("runs:create")
def wait_for_new_run(thread_id: UUID) -> Response:
    """Start a run and answer what it leaves."""
    watch = watch_client()
    begun = start_watched(watch, RunCreate.read(request).to_spec(current_mount()), thread_id)
    return wait_for(begun.run, watch)


@describes(answer=list[RunPart], query=RunsWanted)
@requires("runs:read", on=("threads", "search"))
def list_runs(thread_id: UUID) -> Response:
    """A thread's runs, newest first."""
    limit, offset = page_wanted(request, default=10)
    status = request.args.get("status") or None
    with backend().db.read() as tx:
        threads.get(tx, principal(), thread_id)
        if status is not None and status not in set(RunStatus):
            return json([])
        found = runs.page(tx, principal(), thread_id, status=status, limit=limit, offset=offset)
    return json(_selected([present_run(run) for run in found]))


@describes(
    answer=Nothing,
    query=CancellingOne,
    also={202: "It is told to stop.", 204: "It has stopped."},
    errors={409: "It had ended by itself."},
)
@requires("runs:cancel")
def cancel_run(thread_id: UUID, run_id: UUID) -> Response:
    """Stop a run; with ``wait`` the answer comes when it has stopped."""
    mount, action = current_mount(), cancel_action(request.args.get("action"))
    try:
        run = cancel(backend(), principal(), thread_id, run_id, action)
    except AlreadyEnded as error:
        told = "No matching runs to cancel. Please verify the run is still in progress."
        raise (NotFound(told) if mount.ended_status == 404 else error) from None  # noqa: PLR2004
    except NotFound:
        raise NotFound("No runs found to cancel.") from None
    if not flag(request.args.get("wait")):
        return Response(status=202)
    body, status = mount.cancelled
    if status == 204:  # noqa: PLR2004 - an answer without body cannot be begun before it is known
        return _no_content_when_over(run, watch_client())
    return sse.wait(mount, run, follow(run, after=None), body.encode, watch_client())


@describes(status=204, errors={409: "It has ended, and another run of its thread is in flight."})
@requires("runs:cancel", on=("threads", "delete"))
def delete_run(thread_id: UUID, run_id: UUID) -> Response:
    """Delete a run with the checkpoints that it wrote; one that is under way is stopped and rolled back."""
    remove_run(backend(), principal(), thread_id, run_id, address=request.remote_addr)
    return Response(status=204)


@describes(answer=Any, produces=(EVENTS,), query=JoiningAs, headers=("Last-Event-ID",))
@requires("runs:read")
def join_run(thread_id: UUID, run_id: UUID) -> Response:
    """Follow an existing run, or wait for what it leaves, as the client asks."""
    mount, run = current_mount(), find_run(run_id, thread_id)
    watch = watch_client()
    _honour_cancel_on_disconnect(watch, run)
    if _wants_events(default=mount.join_streams):
        following = follow(run, after=sse.cursor(request))
        return sse.stream(mount, run, following, watch, modes=many(request, "stream_mode"))
    return wait_for(run, watch)


@describes(produces=(EVENTS,), query=Streaming, headers=("Last-Event-ID",), also={204: "It has stopped."})
@requires("runs:read")
def stream_run(thread_id: UUID, run_id: UUID) -> Response:
    """Follow an existing run from ``Last-Event-ID``; with ``action`` it is cancelled first."""
    return stream_found(find_run(run_id, thread_id))


def stream_found(run: Followed) -> Response:
    """Follow this run as the request asks."""
    mount = current_mount()
    watch = watch_client()
    following = follow(run, after=sse.cursor(request))
    if action := request.args.get("action"):
        require("runs:cancel")
        try:
            run = cancel(backend(), principal(), run.thread_id, run.run_id, cancel_action(action))
        except (AlreadyEnded, NotFound):
            log.debug("Nothing to cancel: the run has ended", extra={"run_id": run.run_id})
        if flag(request.args.get("wait")):
            return _no_content_when_over(run, watch)
    _honour_cancel_on_disconnect(watch, run)
    return sse.stream(mount, run, following, watch, modes=many(request, "stream_mode"))


def start_watched(watch: ClientWatch, spec: RunSpec, thread_id: UUID) -> Begun:
    """Start a run whose creator stays; should they leave, its ``on_disconnect`` says what becomes of it."""
    begun = begin(spec, thread_id)
    if begun.shown["kwargs"]["on_disconnect"] == OnDisconnect.CANCEL:
        cancel_when_gone(watch, begun.run)
    return begun


def find_run(run_id: UUID, thread_id: UUID | None = None) -> Followed:
    """The caller's run, or what is left of a stateless one; NotFound otherwise."""
    try:
        with backend().db.read() as tx:
            if thread_id is None:
                return runs.get_alone(tx, principal(), run_id)
            return runs.get(tx, principal(), thread_id, run_id)
    except NotFound:
        return Ended(run_id, left_of(backend(), principal(), thread_id, run_id).thread_id)


def wait_for(run: Followed, watch: ClientWatch) -> Response:
    """Answer a run's outcome when it is over."""
    mount, caller, resources = current_mount(), principal(), backend()
    return sse.wait(
        mount,
        run,
        follow(run, after=None),
        lambda: present_outcome(outcome(resources, caller, run), mount),
        watch,
    )


def _no_content_when_over(run: Followed, watch: ClientWatch) -> Response:
    """Wait until a run is over and answer 204."""
    following = follow(run, after=None)
    watch.when_gone(following.interrupt)
    list(following.heartbeats())
    if following.refused:
        raise Refused
    if not following.ended:
        raise Unavailable("This web process is being stopped; ask again")
    return Response(status=204)


def watch_client() -> ClientWatch:
    """Watch this request's client until the answer, an error as well, is over."""
    request.get_data()  # what is still to come of the request must not pass for a further one
    watch = ClientWatch(request.environ)

    @after_this_request
    def stop_with(response: Response) -> Response:
        response.call_on_close(watch.stop)
        return response

    return watch


def cancel_when_gone(watch: ClientWatch, run: Followed) -> None:
    """Cancel a run when this request's client goes away."""
    resources, caller = backend(), principal()

    def act() -> None:
        with suppress(AlreadyEnded, NotFound):
            cancel(resources, caller, run.thread_id, run.run_id, CancelAction.INTERRUPT)
            log.info("Client gone: its run is cancelled", extra={"run_id": run.run_id})

    watch.when_gone(act)


def _honour_cancel_on_disconnect(watch: ClientWatch, run: Followed) -> None:
    if flag(request.args.get("cancel_on_disconnect")):
        require("runs:cancel")
        cancel_when_gone(watch, run)


def _wants_events(*, default: bool) -> bool:
    """Whether a join shall stream: what the client asks for, else what the mount does."""
    if request.args.get("format") == "json":
        return False
    accepts = request.headers.get("Accept", "")
    asked = {
        "text/event-stream": "text/event-stream" in accepts,
        "application/json": "application/json" in accepts,
    }
    if asked["text/event-stream"] == asked["application/json"]:
        return default
    return asked["text/event-stream"]


def cancel_action(text: str | None) -> CancelAction:
    """What a cancel shall leave, as a query names it."""
    try:
        return CancelAction(text or CancelAction.INTERRUPT)
    except ValueError:
        raise Invalid(f"action: '{text}' is not one of 'interrupt' and 'rollback'") from None


def _selected(shown: list[dict[str, object]]) -> list[dict[str, object]]:
    columns = many(request, "select")
    if not columns:
        return shown
    known = {"run_id", "thread_id", "assistant_id", "created_at", "updated_at", "run_at", "status", "metadata", "kwargs", "multitask_strategy"}  # fmt: skip  # noqa: E501
    if unknown := [name for name in columns if name not in known]:
        raise Invalid(f"Invalid select columns: {unknown}. Expected: {sorted(known)}")
    return [{name: run[name] for name in columns} for run in shown]
