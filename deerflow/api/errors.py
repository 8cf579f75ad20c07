"""The error -> HTTP table. Every error body is ``{"detail": "<one sentence>"}``."""

import logging
import re

import orjson
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from deerflow import errors

log = logging.getLogger(__name__)

_STATUS: dict[type[errors.DeerflowError], int] = {
    errors.BadRequest: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}


def detail(message: str, status: int) -> Response:
    """An error answer."""
    return Response(orjson.dumps({"detail": message}), status, content_type="application/json")


def register(app: Flask) -> None:
    """Install the table."""
    app.register_error_handler(errors.DeerflowError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: errors.DeerflowError) -> int | None:
    """The status of an error of ours; None: it is a defect."""
    return next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)


def _ours(error: errors.DeerflowError) -> Response:
    if isinstance(error, errors.HandlerRefused):
        return _refused(error)
    status = status_of(error)
    if status is None:
        return _unexpected(error)
    answer = detail(str(error), status)
    if isinstance(error, errors.Unavailable | errors.RateLimited):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _refused(error: errors.HandlerRefused) -> Response:
    """What a handler of the project says, with its headers but for those that frame an answer."""
    answer = detail(str(error), error.status)
    for name, value in error.headers.items():
        if _HEADER.fullmatch(name) and _VALUE.fullmatch(value) and not _OURS.fullmatch(name):
            answer.headers[name] = value
    return answer


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[ -~]*", re.ASCII)
_OURS = re.compile(r"(?i)content-.*|transfer-encoding|connection")


def _http(error: HTTPException) -> Response:
    """Werkzeug's own: unknown route, wrong method, an id that is none, a body that cannot be read."""
    most, allowed = request.max_content_length, current_app.config["MAX_CONTENT_LENGTH"]
    whose = "that the setting body_bytes allows" if most == allowed else "that is read of who has not signed in"
    too_large = f"The request body is larger than {most} bytes, the most {whose}"
    names = {404: "Not Found", 405: "Method Not Allowed", 413: too_large}
    status = error.code or 500
    answer = detail(names.get(status) or error.description or error.name, status)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer


def _unexpected(error: Exception) -> Response:
    """A defect of ours: the caller gets the request's id, the log the stack beside it."""
    log.error("Unexpected error", exc_info=error)
    return detail(f"Internal Server Error ({g.request_id})", 500)
