"""Streams of a whole thread: what its runs say, one after the other, as long as the client stays."""

from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api import sse
from deerflow.api.context import backend
from deerflow.api.describe import describes
from deerflow.api.mounts import current_mount
from deerflow.api.runs import watch_client
from deerflow.api.wire.protocol import EventStream
from deerflow.authz import requires
from deerflow.domain.protocol import before
from deerflow.domain.turns import Spot
from deerflow.identity import principal, still_holds
from deerflow.runtime.attend import Attending


def blueprint() -> Blueprint:
    """The routes of thread streams; made anew for each mount."""
    bp = Blueprint("thread_streams", __name__, url_prefix="/threads/<id(thread):thread_id>/stream")
    bp.post("/events")(stream_protocol_events)
    return bp


@describes(body=EventStream, errors={400: "No channels, or some that there are not."})
@requires("runs:read")
def stream_protocol_events(thread_id: UUID) -> Response:
    """Follow a thread in the v2 protocol: what its runs have said as far as it is kept, then what they say."""
    wanted = EventStream.read(request).wanted()
    attending = attend(thread_id, after=before(wanted.since))
    return sse.thread(current_mount(), attending, sse.protocol_frames(attending, wanted), watch_client())


def attend(thread_id: UUID, *, after: Spot | None) -> Attending:
    """A reader of this thread that ends when its caller may read no more."""
    return Attending(backend(), principal(), thread_id, after=after, still_holds=still_holds())
