"""Everybody's accounts, for administrators: who there is, invitations, roles, and who is let in no more."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, RadioField, SelectChoice, StringField
from wtforms.validators import InputRequired, Length

from deerflow.auth import links
from deerflow.authz import requires
from deerflow.domain.accounts import Standing, User
from deerflow.domain.principal import Role
from deerflow.domain.text import fit
from deerflow.errors import Conflict, Invalid
from deerflow.identity import accounts, opened, principal
from deerflow.runtime import users as acts
from deerflow.runtime.users import By
from deerflow.storage import keys, sessions, users
from deerflow.storage.database import Tx
from deerflow.web import forms
from deerflow.web.browsers import in_words
from deerflow.web.keys import RIGHTS
from deerflow.web.pager import address, pager
from deerflow.web.places import lead
from deerflow.web.told import told

_MOST_TEXT = 200
_MOST_KEYS = 50

KINDS: dict[str, Standing | Role] = {
    "admins": Role.ADMIN,
    "invited": Standing.INVITED,
    "disabled": Standing.DISABLED,
}
"""Which users can be looked at alone, as addresses name them."""

DONE = {
    "admin": _("Is an administrator now."),
    "user": _("Is a user like others now."),
    "disabled": _("May not sign in any more. All sessions have ended, and the API keys open nothing."),
    "enabled": _("May sign in again. The API keys are good again."),
    "signed-out": _("Is signed out everywhere."),
}
"""What was done to the user whose page this is."""


class Invite(FlaskForm):  # type: ignore[misc]
    """Who is to have an account."""

    email = EmailField(_("E-mail"), [InputRequired(_("Enter an e-mail address."))])
    name = StringField(_("Name"), [Length(max=200, message=_("Enter at most %(max)d characters."))])
    role = RadioField(
        _("Role"),
        choices=[SelectChoice(Role.USER.value, _("User")), SelectChoice(Role.ADMIN.value, _("Administrator"))],
        default=Role.USER.value,
    )


Act = Callable[[Tx, User, By], object]


def add_to(console: Blueprint) -> None:
    """Add the pages' routes."""
    console.get("/users", endpoint="users")(list_users)
    console.route("/users/invite", methods=["GET", "POST"], endpoint="users_invite")(invite)
    one = "/users/<id(user):user_id>"
    console.get(one, endpoint="users_one")(show)
    console.post(f"{one}/role", endpoint="users_role")(change_role)
    console.post(f"{one}/disable", endpoint="users_disable")(disable)
    console.post(f"{one}/enable", endpoint="users_enable")(enable)
    console.post(f"{one}/sign-out", endpoint="users_sign_out")(sign_out)
    console.post(f"{one}/link", endpoint="users_link")(make_link)


@requires("users:read")
def list_users() -> Response:
    """Who there is."""
    text = fit(request.args.get("q", "").strip()[:_MOST_TEXT]) or None
    only = KINDS.get(request.args.get("show", ""))
    with opened.backend().db.read() as tx:
        total, counts = users.counts(tx, text=text)
        page = pager(total if only is None else counts[only])
        found = users.page(tx, limit=page.size, offset=page.offset, text=text, only=only)
        credentials = users.credentials(tx, [user.user_id for user in found])
    facts: dict[str, Any] = {
        "users": found,
        "credentials": credentials,
        "page": page,
        "total": total,
        "counts": counts,
        "text": text,
    }
    return _page("users.html", HTTPStatus.OK, **facts, kinds=KINDS, only=only, address=address)


@requires("users:write")
def invite() -> Response:
    """Ask whom, then make the account and show its link, this once."""
    accounts.require_mode_accounts()
    form = Invite()
    if request.method == "GET" or not form.validate_on_submit():
        return _page("users_invite.html", form=form, told=forms.wrong_token(form))
    role, name = Role(form.role.data), fit((form.name.data or "").strip())
    try:
        with opened.backend().db.begin() as tx:
            made = acts.create_user(tx, form.email.data or "", role=role, password=None, name=name or None, by=_by())
            link = acts.reset_link(tx, made, _by())
    except Invalid as error:
        forms.tell(form, error)
        return _page("users_invite.html", form=form)
    except Conflict:
        form.email.errors = [gettext("Somebody has this e-mail already.")]
        return _page("users_invite.html", HTTPStatus.CONFLICT, form=form)
    return _page("users_link.html", user=made, link=_address(link), is_new=True)


@requires("users:read")
def show(user_id: UUID) -> Response:
    """One user, and what can be done."""
    return _one(user_id, done=DONE.get(request.args.get("done", "")))


@requires("users:write")
def change_role(user_id: UUID) -> Response:
    """Make somebody an administrator, or a user like others."""
    role = Role.ADMIN if request.form.get("role") == Role.ADMIN else Role.USER
    return _acted(user_id, lambda tx, user, by: acts.change_role(tx, user, role, by), role.value)


@requires("users:write")
def disable(user_id: UUID) -> Response:
    """Let somebody in no more, at once."""
    return _acted(user_id, acts.disable_user, "disabled")


@requires("users:write")
def enable(user_id: UUID) -> Response:
    """Let somebody in again."""
    return _acted(user_id, acts.enable_user, "enabled")


@requires("users:write")
def sign_out(user_id: UUID) -> Response:
    """End all sessions of somebody."""
    return _acted(user_id, acts.end_sessions, "signed-out")


@requires("users:write")
def make_link(user_id: UUID) -> Response:
    """Make a link with which somebody sets their password, and show it, this once."""
    accounts.require_mode_accounts()
    try:
        with opened.backend().db.begin() as tx:
            user = users.get(tx, user_id)
            link = acts.reset_link(tx, user, _by())
    except Conflict as error:
        return _one(user_id, HTTPStatus.CONFLICT, told=told(error))
    return _page("users_link.html", user=user, link=_address(link), is_new=False)


def _acted(user_id: UUID, act: Act, done: str) -> Response:
    """Do something to a user, and lead to their page; who has taken their own rights away is led to the first page."""
    try:
        with opened.backend().db.begin() as tx:
            act(tx, users.get(tx, user_id), _by())
    except Conflict as error:
        return _one(user_id, HTTPStatus.CONFLICT, told=told(error))
    if _is_me(user_id) and done in {Role.USER.value, "disabled", "signed-out"}:
        return lead("/console/")
    return lead(f"/console/users/{user_id}?done={done}")


def _one(user_id: UUID, status: int = HTTPStatus.OK, **words: object) -> Response:
    with opened.backend().db.read() as tx:
        user = users.get(tx, user_id)
        facts = {
            "credentials": users.credentials(tx, [user_id])[user_id],
            "sessions": sessions.of_user(tx, user_id),
            "keys": keys.of_user(tx, user_id, limit=_MOST_KEYS),
        }
    return _page(
        "users_one.html",
        status,
        user=user,
        is_me=_is_me(user_id),
        at=datetime.now(UTC),
        browser_of=in_words,
        rights=RIGHTS,
        **facts,
        **words,
    )


def _page(template: str, status: int = HTTPStatus.OK, **facts: object) -> Response:
    mode = current_app.config["DEERFLOW_AUTH"]
    return make_response(render_template(f"console/{template}", has_passwords=mode == "accounts", **facts), status)


def _address(link: links.Link) -> str:
    """The whole address of a one-time link, as this browser reaches the server."""
    return request.url_root.rstrip("/") + links.reset_path(opened.secrets(), link)


def _is_me(user_id: UUID) -> bool:
    return principal().user_id == str(user_id)


def _by() -> By:
    return By(principal().user_id, request.remote_addr)
