"""The set-up page: without the one-time link it only says where that is."""

from http import HTTPStatus

from flask import Blueprint, Response, make_response, render_template, request

from deerflow.authz import public
from deerflow.errors import Conflict, Forbidden, Invalid, Unavailable
from deerflow.identity import set_up
from deerflow.identity.own_page import require_own_origin
from deerflow.identity.set_up import Status
from deerflow.web import forms, look
from deerflow.web.places import lead
from deerflow.web.told import told


def add_to(console: Blueprint) -> None:
    """Add the page's route."""
    console.route("/setup", methods=["GET", "POST"], endpoint="setup")(setup)


@public
def setup() -> Response:
    """Set up the first administrator."""
    token = request.values.get("token")
    status = set_up.status()
    if status is Status.UNKNOWN:
        raise Unavailable("The database does not answer; whether set-up is needed cannot be seen. Try again soon")
    if token is None:
        return lead("/console/login") if status is Status.NOT_NEEDED else _page("console/setup_link.html")
    try:
        set_up.read(token)
        return _with_link(token)
    except Conflict as error:
        return _page("console/setup_done.html", HTTPStatus.CONFLICT, told=told(error))
    except Forbidden as error:
        return _page("console/setup_link.html", HTTPStatus.FORBIDDEN, told=told(error))


def _with_link(token: str) -> Response:
    form = forms.SetUp(token=token, language=look.language())
    if request.method == "POST":
        require_own_origin(request)
        if form.validate_on_submit():
            try:
                set_up.finish(token, form.email.data or "", form.password.data or "", language=form.language.data)
            except Invalid as error:
                forms.tell(form, error)
            else:
                return lead("/console/")
    return _page("console/setup.html", form=form, told=forms.wrong_token(form))


def _page(template: str, status: int = HTTPStatus.OK, **facts: object) -> Response:
    return make_response(render_template(template, **facts), status)
