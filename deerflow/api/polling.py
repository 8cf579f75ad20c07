"""Runs for clients that poll: pages of events, and a run that answers when it has changed."""

import re
from uuid import UUID

from flask import Response, request

from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.wire.body import number
from deerflow.api.wire.queries import EventsWanted
from deerflow.api.wire.runs import present_event_page
from deerflow.api.wire.shown import EventPageShown, RunShown
from deerflow.authz import requires
from deerflow.domain.presented import present_run
from deerflow.domain.runs import Run
from deerflow.identity import principal, still_holds
from deerflow.runtime import poll
from deerflow.storage import runs

_MOST_WAIT_SECONDS = 55
"""Below the minute after which many proxies give up."""


@describes(answer=EventPageShown, query=EventsWanted)
@requires("runs:read")
def list_events(thread_id: UUID, run_id: UUID) -> Response:
    """A page of a run's events; ``wait`` seconds for the first ones when there are none yet."""
    page = poll.events(
        backend(),
        principal(),
        _get(thread_id, run_id),
        after=number(request, "after", default=0, least=0, most=2**53),
        limit=number(request, "limit", default=100, least=1, most=1_000),
        wait_seconds=number(request, "wait", default=0, least=0, most=_MOST_WAIT_SECONDS),
        still_holds=still_holds(),
    )
    return json(present_event_page(page))


@describes(answer=RunShown, headers=("If-None-Match", "Prefer"), also={304: "Nothing has changed."})
@requires("runs:read")
def get_run(thread_id: UUID, run_id: UUID) -> Response:
    """One run. With ``If-None-Match`` 304 while it has not changed; with ``Prefer: wait=N`` the answer waits for that.

    ``Prefer: wait`` without ``If-None-Match`` waits for the end of the run.
    """
    run, seen, wait = _get(thread_id, run_id), request.if_none_match, _preferred_wait()

    def is_new(now: Run) -> bool:
        return not seen.contains(_tag(now)) if seen else now.is_terminal

    if wait and not is_new(run):
        run = poll.changed(backend(), principal(), run, is_new=is_new, wait_seconds=wait, still_holds=still_holds())
    response = Response(status=304) if seen and seen.contains(_tag(run)) else json(present_run(run))
    response.set_etag(_tag(run))
    response.headers["Cache-Control"] = "no-cache"
    if wait:
        response.headers["Preference-Applied"] = f"wait={wait}"
    return response


def _preferred_wait() -> int:
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,6})", request.headers.get("Prefer", ""))
    return min(int(found.group(1)), _MOST_WAIT_SECONDS) if found else 0


def _tag(run: Run) -> str:
    """Changes whenever the row does; lease renewals are not told to clients and do not count."""
    return f"{run.status}-{run.attempt}-{run.updated_at.timestamp():.6f}"


def _get(thread_id: UUID, run_id: UUID) -> Run:
    with backend().db.read() as tx:
        return runs.get(tx, principal(), thread_id, run_id)
