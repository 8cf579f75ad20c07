"""The wire protocol: a blueprint a noun, all of them under both mounts; and the account API, which is there once."""

from functools import cache, partial
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge, UnprocessableEntity
from werkzeug.routing import BaseConverter, Map

from deerflow import identity
from deerflow.api import (
    account,
    assistants,
    commands,
    cors,
    crons,
    disabled,
    errors,
    keys,
    metrics,
    request_id,
    runs,
    setup,
    state,
    stateless,
    store,
    system,
    thread_streams,
    threads,
    users,
)
from deerflow.api.hub import Aside, spare_cores
from deerflow.api.mounts import MOUNTS
from deerflow.api.openapi import document
from deerflow.authz import PUBLIC
from deerflow.domain.ids import parse_id
from deerflow.errors import Unavailable
from deerflow.settings import Settings

_MOST_OF_ANYBODY = 128 << 10
"""What a body may have that is read before it is known whose it is: two passwords of the longest, and a token."""

_WAITING = 50
"""How many may wait for a password to be looked at: more than a second's worth."""


class IdConverter(BaseConverter):
    """A canonical UUID, or 422. Flask's own answers 404 and lets a trailing line feed by."""

    part_isolating = True

    def __init__(self, url_map: Map, kind: str = "") -> None:
        super().__init__(url_map)
        self._kind = kind

    def to_python(self, value: str) -> UUID:
        """The id; 422 for anything else."""
        found = parse_id(value)
        if found is None:
            raise UnprocessableEntity(f"Invalid {self._kind} ID: must be a UUID")
        return found

    def to_url(self, value: UUID) -> str:
        """Its canonical text."""
        return str(value)


def register(app: Flask, settings: Settings) -> None:
    """Put the API into an app: converter, error table, identity, and the routes of both mounts."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = True
    request_id.register(app)
    errors.register(app)
    metrics.register(app, settings)
    cors.register(app)
    disabled.register(app, app.extensions["deerflow"].project)
    app.before_request(_identify)
    app.before_request(_measure_body)
    app.after_request(_lead_by_path)
    app.after_request(_for_the_caller_alone)
    app.after_request(_untyped_when_empty)
    for mount in MOUNTS:
        outer = Blueprint(mount.name, __name__, url_prefix=mount.prefix or None)
        for room in (threads, state, runs, stateless, crons, commands, thread_streams, assistants, store, system):
            outer.register_blueprint(room.blueprint())
        app.register_blueprint(outer)
    app.extensions["deerflow.aside"] = Aside(at_once=spare_cores(), waiting=_WAITING)
    app.register_blueprint(_accounts())
    app.extensions["deerflow.document"] = cache(partial(document, app))


def _accounts() -> Blueprint:
    """The account API: at one place, whatever the mount."""
    outer = Blueprint("auth", __name__, url_prefix="/api/v1/auth")
    outer.after_request(_never_stored)
    for room in (account, setup, keys, users):
        outer.register_blueprint(room.blueprint())
    return outer


def _never_stored(response: Response) -> Response:
    """What tells of accounts, or hands out a secret, stays in no cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _identify() -> None:
    """Name the caller, unless there is no such view, or it is for anybody: then little is read of the body."""
    view = _view()
    if view is None or request.method == "OPTIONS":  # which Flask answers by itself, with what a path knows
        return
    if getattr(view, "permission", None) != PUBLIC:
        identity.identify(request)
    else:
        request.max_content_length = min(_MOST_OF_ANYBODY, current_app.config["MAX_CONTENT_LENGTH"])


def _measure_body() -> None:
    """Refuse a body that is not whole, which werkzeug takes in silence: one whose connection ended before it did, as
    if it were meant so, and one without a length that is too long, cut off at the limit.
    """
    if _view() is None or "form" in vars(request):  # nothing is read, or a page's form has been, which names its fields
        return
    if len(request.get_data()) < (request.content_length or 0):
        raise Unavailable("The request body ended early; send it again")
    if "Transfer-Encoding" not in request.headers:
        return
    most = request.max_content_length or 0
    if len(request.get_data()) >= most and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge


def _for_the_caller_alone(response: Response) -> Response:
    """Nothing that a caller was told, not even that a thing is not there, is for others of the same proxy's cache."""
    if "principal" in g:
        response.headers.setdefault("Cache-Control", "private")
    return response


def _untyped_when_empty(response: Response) -> Response:
    """An answer that never has a body has no type either; Flask would call it HTML."""
    if response.status_code in {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
        response.headers.pop("Content-Type", None)
    return response


def _lead_by_path(response: Response) -> Response:
    """Werkzeug leads to the tidy form of a path by the host and scheme that the request names; the path is enough."""
    if response.status_code == HTTPStatus.PERMANENT_REDIRECT:
        led = urlsplit(response.headers.get("Location", ""))
        response.headers["Location"] = urlunsplit(("", "", f"/{led.path.lstrip('/')}", led.query, ""))
        response.set_data(b"")  # a page that names the host
    return response


def _view() -> object | None:
    """The view that this request leads to; None when there is none."""
    return current_app.view_functions.get(request.endpoint) if request.endpoint else None
