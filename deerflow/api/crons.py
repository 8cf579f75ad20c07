"""Crons on the wire: runs that the clock creates again and again."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.begin import once
from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.crons import (
    CronCreate,
    CronFound,
    CronPatch,
    CronSearch,
    CronShown,
    CronWanted,
    present_cron,
    spec_of,
)
from deerflow.authz import require, requires
from deerflow.domain.bodies import parsed
from deerflow.errors import BadRequest, NotFound
from deerflow.identity import principal
from deerflow.runtime import schedule
from deerflow.storage import crons
from deerflow.storage.database import Tx


def blueprint() -> Blueprint:
    """The routes of crons; made anew for each mount."""
    bp = Blueprint("crons", __name__)
    bp.post("/runs/crons")(create_stateless_cron)
    bp.post("/threads/<id(thread):thread_id>/runs/crons")(create_thread_cron)
    bp.post("/runs/crons/search")(search_crons)
    bp.post("/runs/crons/count")(count_crons)
    bp.get("/runs/crons/<id(cron):cron_id>")(get_cron)
    bp.patch("/runs/crons/<id(cron):cron_id>")(change_cron)
    bp.delete("/runs/crons/<id(cron):cron_id>")(delete_cron)
    return bp


_NEW = {400: "The request contradicts itself.", 404: "There is no such thread or assistant.", 409: "See `detail`."}


@describes(body=CronCreate, answer=CronShown, errors=_NEW)
@requires("crons:write", on=("crons", "create"))
def create_stateless_cron() -> Response:
    """Create a cron each of whose runs gets a thread of its own."""
    return _create(CronCreate.read(request), None)


@describes(body=CronCreate, answer=CronShown, errors=_NEW)
@requires("crons:write", on=("crons", "create"))
def create_thread_cron(thread_id: UUID) -> Response:
    """Create a cron whose runs are all on this thread."""
    return _create(CronCreate.read(request), thread_id)


@describes(body=CronSearch, answer=list[CronFound])
@requires("crons:read", on=("crons", "search"))
def search_crons() -> Response:
    """A page of crons, newest first unless asked otherwise; headers say whether there are more."""
    asked = CronSearch.read(request)
    asked.require_columns()
    with backend().db.read() as tx:
        found = crons.search(
            tx,
            principal(),
            asked.to_filter(),
            sort_by=asked.column,
            descending=asked.sort_order != "asc",
            limit=asked.limit + 1,
            offset=asked.offset,
        )
    return page_of(found, asked.shown, limit=asked.limit, offset=asked.offset)


@describes(body=CronWanted, answer=int)
@requires("crons:read", on=("crons", "search"))
def count_crons() -> Response:
    """How many crons there are of a kind."""
    wanted = CronWanted.read(request).to_filter()
    with backend().db.read() as tx:
        return json(crons.count(tx, principal(), wanted))


@describes(answer=CronShown)
@requires("crons:read")
def get_cron(cron_id: UUID) -> Response:
    """One cron."""
    with backend().db.read() as tx:
        return json(present_cron(crons.get(tx, principal(), cron_id)))


@describes(body=CronPatch, answer=CronShown, errors={400: "The body is empty, or contradicts itself."})
@requires("crons:write")
def change_cron(cron_id: UUID) -> Response:
    """Change a cron; when it fires next is counted anew when its times change."""
    body = CronPatch.read(request)
    if not parsed(request.get_data()):
        raise BadRequest("Request body cannot be empty")
    with backend().db.begin() as tx:
        cron = crons.lock(tx, principal(), cron_id)
        payload = _merged(cron.payload, body.payload())
        spec = spec_of(payload, stateless=cron.thread_id is None)
        metadata = {**cron.metadata, **(body.metadata or {})}
        values = {**body.times(), "payload": payload, "spec": spec, "metadata": metadata}
        changed = schedule.change_cron(tx, backend(), principal(), cron, values)
    return json(present_cron(changed))


@describes(status=204)
@requires("crons:write", on=("crons", "delete"))
def delete_cron(cron_id: UUID) -> Response:
    """Delete a cron; its runs stay."""
    with backend().db.begin() as tx:
        crons.delete(tx, principal(), cron_id)
    return Response(status=204)


def _create(body: CronCreate, thread_id: UUID | None) -> Response:
    # Who may create no run creates none by a cron. A handler of the project that is asked about runs leaves its
    # word in their metadata, as the one that is asked about crons does in the cron's.
    require("runs:create")
    of_runs = CronCreate.read(request)
    payload = of_runs.payload()
    spec = spec_of(payload, stateless=thread_id is None)
    values = {
        "thread_id": thread_id,
        "timezone": None,
        "end_time": None,
        "enabled": True,
        **body.times(),
        "payload": payload,
        "metadata": body.metadata or {},
    }
    return once(lambda tx: present_cron(schedule.add_cron(tx, backend(), principal(), spec, values)), _created_before)


def _created_before(tx: Tx, shown: dict[str, Any]) -> dict[str, Any]:
    """The cron as it is now, or as it was first told when it has gone since."""
    try:
        return present_cron(crons.get(tx, principal(), UUID(shown["cron_id"])))
    except NotFound:
        return shown


def _merged(before: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A payload with what was said anew; its assistant stays, its metadata are merged."""
    metadata = {**(before.get("metadata") or {}), **(said.get("metadata") or {})}
    kept = {name: before[name] for name in ("assistant_id",) if name in before}
    return {**before, **said, **kept, **({"metadata": metadata} if metadata else {})}
