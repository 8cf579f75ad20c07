"""Commands of the v2 protocol: start a run on a thread, answer its questions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from pydantic import ValidationError

from deerflow.api.begin import begin
from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.errors import status_of
from deerflow.api.mounts import PLATFORM
from deerflow.api.wire.protocol import Command, CommandAnswer, Done, Refusal, Respond
from deerflow.api.wire.runs import RunCreate
from deerflow.authz import require, requires
from deerflow.domain.bodies import parsed
from deerflow.domain.runs import RunSpec
from deerflow.domain.words import IfNotExists
from deerflow.errors import BadRequest, Conflict, DeerflowError, HandlerRefused, Invalid, NotFound, TooLarge
from deerflow.identity import principal
from deerflow.runtime.settle import settle
from deerflow.runtime.submit import NoSuchInterrupt

_STARTS = replace(PLATFORM, if_not_exists=IfNotExists.CREATE)
"""Defaults of a run that a command starts, through whichever mount; clients make up the ids of their threads."""
_GOES_ON = replace(PLATFORM, assistant_required=False)
_SETTLE_SECONDS = 5.0
_OVER_SOCKETS = "only over a WebSocket; over HTTP each POST …/stream/events is a subscription of its own"


class Refused(Exception):
    """A command is not carried out; *error* is one of the protocol's words."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


def blueprint() -> Blueprint:
    """The route of commands; made anew for each mount."""
    bp = Blueprint("commands", __name__, url_prefix="/threads/<id(thread):thread_id>")
    bp.post("/commands")(command)
    return bp


def body_of_run(sent: Any) -> dict[str, Any]:
    """The run that a command creates, as the body of a creation; of what is no such command, nothing."""
    params = sent.get("params") if isinstance(sent, dict) else None
    if not isinstance(params, dict):
        return {}
    make = {"run.start": _run_to_start, "input.respond": _run_that_answers}.get(str(sent.get("method")))
    return make(params) if make is not None else {}


def _run_to_start(params: dict[str, Any]) -> dict[str, Any]:
    body = _taken(params, "assistant_id", "input", "config", "metadata")
    return {**body, "multitask_strategy": params.get("multitaskStrategy") or params.get("multitask_strategy")}


def _run_that_answers(params: dict[str, Any]) -> dict[str, Any]:
    body, told = _taken(params, "config", "metadata"), _taken(params, "update", "goto")
    try:
        answers = Respond.model_validate(params).by_id()
    except ValidationError:
        return body
    return {**body, "command": {"resume": answers, **told}}


def _taken(params: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: params[name] for name in names if params.get(name) is not None}


@describes(
    body=Command,
    answer=CommandAnswer,
    headers=("Idempotency-Key", "x-request-id"),
    errors={400: "No JSON, or no id or method in it."},
)
@requires("runs:create", shown=body_of_run)
def command(thread_id: UUID) -> Response:
    """Do what a client of the v2 protocol asks of a thread: `run.start`, `input.respond`."""
    try:
        sent = parsed(request.get_data())
    except Invalid as error:
        raise BadRequest("Invalid JSON body") from error
    asked = command_in(sent)
    if isinstance(asked, Refusal):
        return json({**asked.model_dump(), "detail": asked.message}, 400)
    return json(answer_of(asked, sent, thread_id).model_dump())


def command_in(sent: Any) -> Command | Refusal:
    """The command that a client has sent, or why it is none."""
    try:
        return Command.check(sent)
    except Invalid as error:
        command_id = sent.get("id") if isinstance(sent, dict) else None
        known = command_id if isinstance(command_id, int) and not isinstance(command_id, bool) else None
        return Refusal(id=known, error="invalid_argument", message=str(error))


def answer_on_socket(asked: Command, sent: dict[str, Any], thread_id: UUID) -> Done | Refusal:
    """The same as ``answer_of`` where there is no HTTP to raise anything to, and nobody was asked yet."""
    try:
        if asked.method in _ACTS:
            require("runs:create", body=lambda: body_of_run(sent))
        return answer_of(asked, sent, thread_id)
    except DeerflowError as error:
        return Refusal(id=asked.id, error="unknown_error", message=_with_status(error))


def answer_of(asked: Command, sent: dict[str, Any], thread_id: UUID) -> Done | Refusal:
    """Carry out a command. What HTTP's own statuses say better (try again, forbidden) is raised."""
    act = _ACTS.get(asked.method, _unknown)
    try:
        return Done(id=asked.id, result=act(asked, sent, thread_id))
    except Refused as refused:
        return Refusal(id=asked.id, error=refused.error, message=str(refused))
    except (BadRequest, Invalid) as error:
        wrong = "unknown_error" if str(error).startswith("Invalid assistant") else "invalid_argument"
        return Refusal(
            id=asked.id, error=wrong, message=_with_status(error) if wrong == "unknown_error" else str(error)
        )
    except (Conflict, NotFound, TooLarge) as error:
        return Refusal(id=asked.id, error="unknown_error", message=_with_status(error))


def _with_status(error: DeerflowError) -> str:
    status = error.status if isinstance(error, HandlerRefused) else status_of(error)
    return f"{status or 500}: {error}"


def _start(_asked: Command, sent: dict[str, Any], thread_id: UUID) -> dict[str, Any]:
    spec = RunCreate.read_as(request, body_of_run(sent)).to_spec(_STARTS)
    begun = begin(_speaking(spec), thread_id, is_request=request.method == "POST")
    return {"run_id": str(begun.run.run_id)}


def _respond(asked: Command, sent: dict[str, Any], thread_id: UUID) -> dict[str, Any]:
    """Go on with the answers; the run that has asked may not have ended yet."""
    if not Respond.parse(asked.params or {}).by_id():
        raise Invalid("interrupt_id: Field required")
    given = RunCreate.read_as(request, body_of_run(sent)).to_spec(_GOES_ON)
    resume = (given.command or {}).get("resume")
    spec = replace(_speaking(given), answers=tuple(resume) if isinstance(resume, dict) else ())
    try:
        _begin_when_settled(spec, thread_id)
    except NoSuchInterrupt as error:
        raise Refused("no_such_interrupt", str(error)) from None
    except NotFound:
        raise Refused("no_such_run", "The thread has no run that has asked") from None
    return {}


def _begin_when_settled(spec: RunSpec, thread_id: UUID) -> None:
    is_request = request.method == "POST"
    try:
        begin(spec, thread_id, is_request=is_request)
    except NoSuchInterrupt:
        if not settle(backend(), principal(), thread_id, seconds=_SETTLE_SECONDS):
            raise
        begin(spec, thread_id, is_request=is_request)


def _speaking(spec: RunSpec) -> RunSpec:
    return replace(spec, protocol="v2", stream_subgraphs=True, stream_resumable=True)


def _tree(_asked: Command, _sent: dict[str, Any], _thread_id: UUID) -> dict[str, Any]:
    raise Refused("no_such_run", "This connection follows no run")


def _unknown(asked: Command, _sent: dict[str, Any], _thread_id: UUID) -> dict[str, Any]:
    why = _OVER_SOCKETS if asked.method.startswith("subscription.") else f"known are {', '.join(_ACTS)}"
    raise Refused("unknown_command", f"Unknown command {asked.method}: {why}")


_ACTS: dict[str, Callable[[Command, dict[str, Any], UUID], dict[str, Any]]] = {
    "run.start": _start,
    "input.respond": _respond,
    "agent.getTree": _tree,
}
