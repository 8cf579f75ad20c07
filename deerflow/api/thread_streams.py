"""Streams of a whole thread: what its runs say, one after the other, as long as the client stays."""

from uuid import UUID

from flask import Blueprint, Response, current_app, request

from deerflow.api import sse
from deerflow.api.context import backend
from deerflow.api.conversation import Conversation
from deerflow.api.describe import EVENTS, describes
from deerflow.api.mounts import current_mount
from deerflow.api.runs import watch_client
from deerflow.api.sockets import Hijacked, Socket, require_handshake
from deerflow.api.wire.body import many
from deerflow.api.wire.protocol import EventStream, ThreadStreaming
from deerflow.authz import requires
from deerflow.domain.protocol import before
from deerflow.domain.turns import Spot, parse_spot
from deerflow.errors import Invalid
from deerflow.identity import principal, still_holds
from deerflow.identity.own_page import require_own_socket
from deerflow.runtime.attend import Attending

_MOST_MESSAGE_BYTES = 16 << 20
_MODES = {"run_modes", "lifecycle", "state_update"}
"""Nothing is told under ``state_update``: an edit of the state is in no run's log."""


def blueprint() -> Blueprint:
    """The routes of thread streams; made anew for each mount."""
    bp = Blueprint("thread_streams", __name__, url_prefix="/threads/<id(thread):thread_id>/stream")
    bp.get("")(stream_thread)
    bp.post("/events")(stream_protocol_events)
    for is_socket in (True, False):  # a rule is for the one or the other; who asks in plain HTTP is told what to do
        bp.get("/events", websocket=is_socket)(talk)
    return bp


@describes(produces=(EVENTS,), query=ThreadStreaming, headers=("Last-Event-ID",))
@requires("runs:read")
def stream_thread(thread_id: UUID) -> Response:
    """Follow a thread, its runs to come too, from `Last-Event-ID`; it has no end."""
    modes = _modes_wanted()
    attending = attend(thread_id, after=_cursor())
    frames = sse.thread_frames(attending, whole="run_modes" in modes)
    return sse.thread(current_mount(), attending, frames, watch_client())


@describes(body=EventStream, produces=(EVENTS,), errors={400: "No channels, or some that there are not."})
@requires("runs:read")
def stream_protocol_events(thread_id: UUID) -> Response:
    """Follow a thread in the v2 protocol: what its runs have said as far as it is kept, then what they say."""
    wanted = EventStream.read(request).wanted()
    attending = attend(thread_id, after=before(wanted.since))
    return sse.thread(current_mount(), attending, sse.protocol_frames(attending, wanted), watch_client())


@describes(status=101, errors={400: "No WebSocket's handshake."})
@requires("runs:read")
def talk(thread_id: UUID) -> Response:
    """Talk the v2 protocol over a WebSocket: commands, subscriptions and events."""
    require_handshake(request)
    require_own_socket(request, principal())
    most = min(current_app.config["MAX_CONTENT_LENGTH"], _MOST_MESSAGE_BYTES)
    Conversation(thread_id, Socket(request, most_bytes=most)).hold()
    return Hijacked()


def _modes_wanted() -> set[str]:
    """What of a thread: SDKs write the parameter in the singular."""
    asked = set(many(request, "stream_modes")) | set(many(request, "stream_mode")) or {"run_modes"}
    if unknown := sorted(asked - _MODES):
        raise Invalid(f"stream_modes: {', '.join(unknown)} is not one of {', '.join(sorted(_MODES))}")
    return asked


def _cursor() -> Spot | None:
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text:  # an EventSource that has heard nothing yet may send an empty one
        return None
    spot = parse_spot(text)
    if spot is None:
        raise Invalid(f"Invalid last-event-id: '{text}' is not the id of an event of this stream, nor - for everything")
    return spot


def attend(thread_id: UUID, *, after: Spot | None) -> Attending:
    """A reader of this thread that ends when its caller may read no more."""
    return Attending(backend(), principal(), thread_id, after=after, still_holds=still_holds())
