"""The sign-in page, and signing out."""

from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask_babel import gettext as _
from flask_login import current_user

from deerflow.authz import public, requires
from deerflow.errors import Invalid, RateLimited, Unauthenticated
from deerflow.identity import accounts, set_up
from deerflow.identity.own_page import require_own_origin
from deerflow.web import forms
from deerflow.web.errors import for_now
from deerflow.web.places import lead, next_place
from deerflow.web.told import told


def add_to(console: Blueprint) -> None:
    """Add the routes of signing in and out."""
    console.route("/login", methods=["GET", "POST"], endpoint="login")(login)
    console.post("/logout", endpoint="logout")(logout)


@public
def login() -> Response:
    """Sign in, and go on to where one wanted to go."""
    if current_app.config["DEERFLOW_AUTH"] != "accounts":
        return lead("/console/")
    if not set_up.is_finished():
        return lead("/console/setup")
    place = next_place(request.values.get("next"))
    if current_user.is_authenticated:
        return lead(place)
    form = forms.SignIn(next=place)
    if request.method == "POST":
        return _tried(form, place)
    return _page(
        form, done=_("Your password is set. Sign in with it.") if request.args.get("done") == "password" else ""
    )


@requires("account:write")
def logout() -> Response:
    """End the session, on the server too."""
    accounts.logout()
    return lead("/console/login")


def _tried(form: forms.SignIn, place: str) -> Response:
    """Answer a try: lead on, or say what was wrong."""
    require_own_origin(request)
    if not form.validate_on_submit():
        return _page(form, told=forms.wrong_token(form))
    try:
        accounts.login(form.email.data or "", form.password.data or "", remember=bool(form.remember.data))
    except Unauthenticated as error:
        return _page(form, told=told(error))
    except Invalid as error:
        forms.tell(form, error)
        return _page(form)
    except RateLimited as error:
        return for_now(_page(form, told=told(error)), error)
    return lead(place)


def _page(form: forms.SignIn, **facts: object) -> Response:
    page = render_template("console/login.html", form=form, may_register=forms.may_register(), **facts)
    return make_response(page)
