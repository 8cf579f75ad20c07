"""The page behind a one-time link with which somebody sets their password: a new account's first, or another one."""

from http import HTTPStatus

from flask import Blueprint, Response, current_app, make_response, render_template, request

from deerflow.authz import public
from deerflow.errors import Forbidden, Invalid, RateLimited
from deerflow.identity import accounts
from deerflow.identity.own_page import require_own_origin
from deerflow.web import forms
from deerflow.web.errors import for_now
from deerflow.web.places import lead
from deerflow.web.told import told


def add_to(console: Blueprint) -> None:
    """Add the page's route."""
    console.route("/password", methods=["GET", "POST"], endpoint="password")(choose)


@public
def choose() -> Response:
    """Set the password that the bearer of the link wants."""
    token = request.values.get("token")
    if token is None or current_app.config["DEERFLOW_AUTH"] != "accounts":
        return lead("/console/")
    form = forms.Password(token=token)
    return _tried(form, token) if request.method == "POST" else _page(form)


def _tried(form: forms.Password, token: str) -> Response:
    """Answer a try: lead to where one signs in, or say what was wrong."""
    require_own_origin(request)
    if not form.validate_on_submit():
        return _page(form, told=forms.wrong_token(form))
    try:
        accounts.reset_password(token, form.password.data or "")
    except Invalid as error:
        forms.tell(form, error, otherwise="password")
        return _page(form)
    except Forbidden as error:
        return _page(form, HTTPStatus.FORBIDDEN, told=told(error))
    except RateLimited as error:
        return for_now(_page(form, told=told(error)), error)
    return lead("/console/login?done=password")


def _page(form: forms.Password, status: int = HTTPStatus.OK, **facts: object) -> Response:
    user = accounts.find_of_link(form.token.data or "")
    form.email.data = user and user.email
    return make_response(render_template("console/password.html", form=form, user=user, **facts), status)
