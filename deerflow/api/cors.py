"""CORS: what browsers are told about pages of other origins (the Fetch standard's protocol).

Whose pages may call is ``identity/origins``' word; here it is put into headers, on every answer but the pages',
errors and streams included. A preflight is answered before anybody is asked who is calling: browsers send it without
credentials.
"""

from flask import Flask, Response, request

from deerflow.api.errors import detail
from deerflow.api.openapi import is_page
from deerflow.identity import origins

EXPOSED = (
    "Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next", "Idempotent-Replayed", "Retry-After",
    "ETag", "Preference-Applied", "X-Request-Id",
)  # fmt: skip
"""The answers' headers that a page of another origin may read."""

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_HEADERS = "content-type, x-api-key, authorization, last-event-id, cache-control, idempotency-key, prefer, x-csrftoken"
_VARY = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


def register(app: Flask) -> None:
    """Let an app answer preflights, and name on its answers who may read them."""
    app.before_request(answer_preflight)
    app.after_request(name_readers)


def answer_preflight() -> Response | None:
    """What a browser may send, before it sends it; None for a request that is none of these."""
    rule, origin = origins.current(), request.headers.get("Origin")
    if request.method != "OPTIONS" or origin is None:
        return None
    if is_page(request.path) or not rule.allows(origin):
        return detail(
            f"The origin '{origin}' may not call this server; DEERFLOW_CORS_ORIGINS names those that may", 403
        )
    if "Access-Control-Request-Method" not in request.headers:
        return None
    answer = Response(status=204)
    wanted = request.headers.get("Access-Control-Request-Headers", _HEADERS)
    answer.headers["Access-Control-Allow-Methods"] = _METHODS
    answer.headers["Access-Control-Allow-Headers"] = wanted
    answer.headers["Access-Control-Max-Age"] = str(rule.max_age)
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        answer.headers["Access-Control-Allow-Private-Network"] = "true"
    answer.vary.update(_VARY)
    return answer


def name_readers(answer: Response) -> Response:
    """Say whether the page that asked may read the answer."""
    if is_page(request.path):
        return answer
    rule, origin = origins.current(), request.headers.get("Origin")
    if not rule.anybody:
        answer.vary.add("Origin")
        if origin is None or not rule.trusts(origin):
            return answer
    answer.headers["Access-Control-Allow-Origin"] = "*" if rule.anybody else str(origin)
    answer.headers["Access-Control-Expose-Headers"] = ", ".join((*EXPOSED, *rule.exposed))
    if rule.credentials:
        answer.headers["Access-Control-Allow-Credentials"] = "true"
    return answer
