"""Errors under ``/console`` are pages: the same sentence and status that the API would give, told to people."""

from http import HTTPStatus

import orjson
from flask import Response, current_app, render_template, request
from flask_babel import lazy_gettext as _

from deerflow.errors import Unavailable
from deerflow.identity import set_up
from deerflow.web.places import is_page, lead, sign_in_place

TITLES = {
    403: _("Not allowed"),
    404: _("Not found"),
    405: _("Not possible"),
    429: _("Too much for now"),
    503: _("Not available now"),
}
OTHER_TITLE = _("Something is wrong")


def as_page(answer: Response) -> Response:
    """Make a page of an error; who is not signed in is led to where one can do so."""
    if not is_page(request) or answer.status_code < HTTPStatus.BAD_REQUEST or answer.mimetype != "application/json":
        return answer
    if answer.status_code == HTTPStatus.UNAUTHORIZED and current_app.config["DEERFLOW_AUTH"] == "accounts":
        return lead(sign_in_place(request) if _is_set_up() else "/console/setup")
    detail = orjson.loads(answer.get_data())["detail"]
    title = TITLES.get(answer.status_code, OTHER_TITLE)
    answer.set_data(render_template("console/error.html", title=title, detail=detail, waiting=int))
    answer.mimetype = "text/html"
    return answer


def _is_set_up() -> bool:
    try:
        return set_up.is_finished()
    except Unavailable:
        return True
