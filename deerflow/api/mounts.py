"""The two mounts of the one API, as a table of defaults: ``/`` for LangGraph's clients, ``/api`` for the gateway's."""

from dataclasses import dataclass

from flask import request

from deerflow.domain.words import IfNotExists, MultitaskStrategy, OnCompletion, OnDisconnect


@dataclass(frozen=True)
class Mount:
    """What differs between the mounts; everything else is the same code with the same answers."""

    name: str
    prefix: str
    multitask_strategy: MultitaskStrategy
    on_disconnect: OnDisconnect
    if_not_exists: IfNotExists
    on_completion: OnCompletion
    """What becomes of a stateless run's thread."""
    assistant_required: bool
    cancelled: tuple[str, int]
    """Body and status of a cancel that waited."""
    ended_status: int
    """Status of a cancel that came after the run had ended by itself."""
    join_streams: bool
    """Whether ``GET …/join`` is SSE unless the client asks for JSON (else the other way round)."""
    join_query: str
    """What the ``Location`` of a wait adds, so that following it gives JSON."""
    cache_control: str
    failure_has_status: bool
    """Whether the answer of a failed wait carries ``status`` and ``error`` beside ``__error__``."""


PLATFORM = Mount(
    name="platform",
    prefix="",
    multitask_strategy=MultitaskStrategy.ENQUEUE,
    on_disconnect=OnDisconnect.CONTINUE,
    if_not_exists=IfNotExists.REJECT,
    on_completion=OnCompletion.DELETE,
    assistant_required=True,
    cancelled=("{}", 200),
    ended_status=404,
    join_streams=False,
    join_query="",
    cache_control="no-store",
    failure_has_status=False,
)

GATEWAY = Mount(
    name="gateway",
    prefix="/api",
    multitask_strategy=MultitaskStrategy.REJECT,
    on_disconnect=OnDisconnect.CANCEL,
    if_not_exists=IfNotExists.CREATE,
    on_completion=OnCompletion.KEEP,
    assistant_required=False,
    cancelled=("", 204),
    ended_status=409,
    join_streams=True,
    join_query="?format=json",
    cache_control="no-cache",
    failure_has_status=True,
)

MOUNTS = (PLATFORM, GATEWAY)


def current_mount() -> Mount:
    """The mount that this request came through."""
    return GATEWAY if (request.blueprint or "").startswith(GATEWAY.name) else PLATFORM
