"""Errors under ``/console`` are pages: the same sentence and status that the API would give, told to people."""

from http import HTTPStatus

import orjson
from flask import Response, current_app, g, render_template, request
from flask_babel import lazy_gettext as _

from deerflow.errors import RateLimited, Unavailable
from deerflow.identity import recognize, set_up
from deerflow.web.places import is_page, lead, sign_in_place
from deerflow.web.told import told, told_to_wait

TITLES = {
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("Not possible"),
    409: _("Not possible"),
    429: _("Too much for now"),
    503: _("Not available now"),
}
_SAID_BY_TITLE = {"Not Found", "Method Not Allowed"}
OTHER_TITLE = _("Something is wrong")


def as_page(answer: Response) -> Response:
    """Make a page of an error; who is not signed in is led to where one can do so."""
    if not is_page(request) or answer.status_code < HTTPStatus.BAD_REQUEST or answer.mimetype != "application/json":
        return answer
    if answer.status_code == HTTPStatus.UNAUTHORIZED and current_app.config["DEERFLOW_AUTH"] == "accounts":
        return lead(sign_in_place(request) if _is_set_up() else "/console/setup")
    if request.routing_exception is not None:  # no view was found, so nobody has asked who this is
        recognize(request)
    title = TITLES.get(answer.status_code, OTHER_TITLE)
    facts = {"detail": _sentence(answer), "status": answer.status_code, "request_id": g.request_id}
    answer.set_data(render_template("console/error.html", title=title, waiting=int, **facts))
    answer.mimetype = "text/html"
    return answer


def for_now(page: Response, error: RateLimited) -> Response:
    """A page that says that something was too much, with the status and the header that say so to programs."""
    page.status_code = HTTPStatus.TOO_MANY_REQUESTS
    page.headers["Retry-After"] = str(error.retry_after)
    return page


def _sentence(answer: Response) -> str:
    detail, wait = str(orjson.loads(answer.get_data())["detail"]), answer.headers.get("Retry-After")
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS and wait is not None:
        return told_to_wait(detail, int(wait))
    return "" if detail in _SAID_BY_TITLE else told(detail)


def _is_set_up() -> bool:
    try:
        return set_up.is_finished()
    except Unavailable:
        return True
