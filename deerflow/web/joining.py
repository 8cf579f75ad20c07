"""The page where people make accounts of their own, where that is allowed."""

from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask_login import current_user

from deerflow.authz import public
from deerflow.errors import Conflict, Forbidden, Invalid, RateLimited
from deerflow.identity import accounts, set_up
from deerflow.identity.own_page import require_own_origin
from deerflow.web import forms
from deerflow.web.errors import for_now
from deerflow.web.places import lead
from deerflow.web.told import told


def add_to(console: Blueprint) -> None:
    """Add the page's route."""
    console.route("/register", methods=["GET", "POST"], endpoint="register")(register)


@public
def register() -> Response:
    """Make an account and sign in to it."""
    if current_app.config["DEERFLOW_AUTH"] != "accounts":
        return lead("/console/")
    if not set_up.is_finished():
        return lead("/console/setup")
    if current_user.is_authenticated:
        return lead("/console/")
    if not forms.may_register():
        raise Forbidden("Registration is switched off here; ask an administrator for an account")
    form = forms.Registration()
    return _tried(form) if request.method == "POST" else _page(form)


def _tried(form: forms.Registration) -> Response:
    """Answer a try: lead to the first page, or say what was wrong."""
    require_own_origin(request)
    if not form.validate_on_submit():
        return _page(form, told=forms.wrong_token(form))
    try:
        accounts.register(form.email.data or "", form.password.data or "", name=form.name.data or None)
    except (Invalid, Conflict) as error:
        forms.tell(form, error)
        return _page(form)
    except RateLimited as error:
        return for_now(_page(form, told=told(error)), error)
    return lead("/console/")


def _page(form: forms.Registration, **facts: object) -> Response:
    return make_response(render_template("console/register.html", form=form, **facts))
