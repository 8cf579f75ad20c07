"""One's own account: name, language, time zone and colours, e-mail, password, and where one is signed in."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm

from deerflow.authz import requires
from deerflow.errors import Conflict, Forbidden, Invalid, RateLimited
from deerflow.identity import accounts, opened, sessions
from deerflow.storage import users
from deerflow.web import browsers, forms, look, zones
from deerflow.web.errors import for_now
from deerflow.web.places import lead
from deerflow.web.told import told, wrong_at

_DONE = {
    "profile": _("Saved."),
    "email": _("Your e-mail is changed. You are signed in here only: all your other sessions have ended."),
    "password": _("Your password is changed. You are signed in here only: all your other sessions have ended."),
    "session": _("That session has ended."),
    "others": _("All your other sessions have ended."),
}
"""What is told after an act, by the word in the address that the page is led to with."""


def add_to(console: Blueprint) -> None:
    """Add the page's routes."""
    console.get("/account", endpoint="account")(show)
    console.post("/account", endpoint="account_profile")(change_profile)
    console.post("/account/email", endpoint="account_email")(change_email)
    console.post("/account/password", endpoint="account_password")(change_password)
    console.post("/account/sessions", endpoint="account_others")(end_others)
    console.post("/account/sessions/<id(session):session_id>", endpoint="account_session")(end_session)


@requires("account:write")
def show() -> Response:
    """All of it on one page."""
    return _page(done=_DONE.get(request.args.get("done", "")))


@requires("account:write")
def change_profile() -> Response:
    """Save name, language, time zone and colours; nobody is signed out by that."""
    form, mine = _profile(), sessions.signed_in().user
    if not form.validate_on_submit():
        return _page(profile=form)
    chosen = {name: field.data or None for name, field in form._fields.items() if name != "csrf_token"}
    with opened.backend().db.begin() as tx:
        users.change(tx, mine.user_id, **chosen)
    return _done("profile")


@requires("account:write")
def change_email() -> Response:
    """Change the e-mail, which asks for the password."""
    form = forms.NewEmail()
    return _tried("email", form, lambda: accounts.change_email(form.current.data or "", form.email.data or ""))


@requires("account:write")
def change_password() -> Response:
    """Change the password, which asks for the old one."""
    form = forms.AnotherPassword()
    return _tried("password", form, lambda: accounts.change_password(form.current.data or "", form.password.data or ""))


@requires("account:write")
def end_session(session_id: UUID) -> Response:
    """Sign out in another browser; in this one, it is signing out."""
    is_this = session_id == sessions.signed_in().row.session_id
    accounts.end_session(session_id)
    return lead("/console/login") if is_this else _done("session", "sessions")


@requires("account:write")
def end_others() -> Response:
    """Sign out everywhere but here."""
    accounts.end_other_sessions()
    return _done("others", "sessions")


def _tried(name: str, form: FlaskForm, change: Callable[[], object]) -> Response:
    """Answer a change that asks for the password: lead on, or say beside the field what was wrong."""
    if not form.validate_on_submit():
        return _page(**{name: form})
    try:
        change()
    except Forbidden as error:  # the password is not the one
        forms.add(form.current, wrong_at(form.current.label.text, error))
    except (Invalid, Conflict) as error:
        forms.tell(form, error, otherwise=name)
    except RateLimited as error:
        return for_now(_page(told=told(error), **{name: form}), error)
    else:
        return _done(name)
    return _page(**{name: form})


def _done(what: str, place: str = "") -> Response:
    return lead(f"/console/account?done={what}{place and '#'}{place}")


def _page(**facts: Any) -> Response:
    mine = sessions.signed_in()
    found = accounts.list_sessions()
    shown = {
        "profile": facts.pop("profile", None) or _profile(),
        "email": facts.pop("email", None) or forms.NewEmail(formdata=None),
        "password": facts.pop("password", None) or forms.AnotherPassword(formdata=None),
        "user": mine.user,
        "sessions": found,
        "current": mine.row.session_id,
        "browser": browsers.in_words,
    }
    return make_response(render_template("console/account.html", **shown, **facts))


def _profile() -> forms.Profile:
    """The form of the profile with what is so now, if nothing was sent."""
    user = sessions.signed_in().user
    values = {"name": user.name or "", "language": user.language or "", "time_zone": user.time_zone or ""}
    form = forms.Profile(data={**values, "scheme": look.scheme()})
    form.time_zone.choices = zones.choices(user.time_zone)
    return form
