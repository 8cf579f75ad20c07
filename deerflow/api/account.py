"""One's own account on the wire: sign in and out, profile, password, e-mail, sessions."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.wire.account import (
    EmailChange,
    Ended,
    Login,
    Me,
    PasswordChange,
    ProfilePatch,
    Registration,
    SessionShown,
    Token,
    UserShown,
    present_session,
    present_user,
)
from deerflow.authz import public, requires
from deerflow.domain.accounts import User
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Proof, permissions_of
from deerflow.identity import accounts, principal, sessions, set_up
from deerflow.identity.own_page import require_own_page
from deerflow.storage import users

MODE = {409: "Nobody signs in with a password here, or the e-mail is taken."}
OWN_PAGE = {
    400: "The body is not JSON.",
    403: "Another site's page may have sent this, or what it brings opens nothing.",
}
COUNTED = {429: "Too many tries; Retry-After tells how long to wait.", 503: "Too many wait for their turn."}


def blueprint() -> Blueprint:
    """The routes of one's own account."""
    bp = Blueprint("account", __name__)
    bp.get("/csrf")(pre_session)
    bp.post("/login")(login)
    bp.post("/register")(register)
    bp.post("/logout")(logout)
    bp.get("/me")(me)
    bp.patch("/me")(change_profile)
    bp.post("/change-password")(change_password)
    bp.post("/change-email")(change_email)
    bp.get("/sessions")(list_sessions)
    bp.delete("/sessions")(end_other_sessions)
    bp.delete("/sessions/<id(session):session_id>")(end_session)
    return bp


@describes(answer=Token, errors=MODE)
@public
def pre_session() -> Response:
    """The CSRF token that a browser sends when it signs in, and the cookie it belongs to."""
    accounts.require_mode_accounts()
    return json({"csrf_token": sessions.csrf_token()})


@describes(body=Login, answer=Me, errors=MODE | OWN_PAGE | COUNTED | {401: "Wrong e-mail or password."})
@public
def login() -> Response:
    """Sign in with e-mail and password; `remember` keeps the cookie for 30 days."""
    accounts.require_mode_accounts()
    set_up.require_finished()
    require_own_page(request)
    body = Login.read(request)
    return signed_in(accounts.login(body.email, body.password, remember=body.remember))


@describes(
    body=Registration,
    answer=Me,
    status=201,
    errors=MODE | OWN_PAGE | COUNTED | {401: "Set-up is not finished."},
)
@public
def register() -> Response:
    """Make an account of one's own and sign in to it, where that is allowed."""
    accounts.require_mode_accounts()
    set_up.require_finished()
    require_own_page(request)
    body = Registration.read(request)
    return signed_in(accounts.register(body.email, body.password, name=body.name or None), status=201)


@describes(status=204)
@requires("account:write")
def logout() -> Response:
    """End this session, on the server too."""
    accounts.logout()
    return Response(status=204)


@describes(answer=Me)
@requires("account:read")
def me() -> Response:
    """Who is calling and what they may do; with a session also its CSRF token."""
    caller = principal()
    shown: dict[str, Any] = {"user": _user(), "permissions": sorted(caller.permissions)}
    if caller.proof is Proof.SESSION:
        shown["csrf_token"] = sessions.csrf_token()
    return json(shown)


@describes(body=ProfilePatch, answer=UserShown)
@requires("account:write")
def change_profile() -> Response:
    """Change one's name, language, time zone or colours."""
    body, mine = ProfilePatch.read(request), sessions.signed_in()
    with backend().db.begin() as tx:
        return json(present_user(users.change(tx, mine.user.user_id, **body.changes())))


@describes(body=PasswordChange, answer=Me, errors=COUNTED)
@requires("account:write")
def change_password() -> Response:
    """Change one's password: every other session ends, this one is renewed."""
    body = PasswordChange.read(request)
    return signed_in(accounts.change_password(body.password, body.new_password))


@describes(body=EmailChange, answer=Me, errors=COUNTED | {409: "Somebody has this e-mail already."})
@requires("account:write")
def change_email() -> Response:
    """Change one's e-mail: every other session ends, this one is renewed."""
    body = EmailChange.read(request)
    return signed_in(accounts.change_email(body.password, body.email))


@describes(answer=list[SessionShown])
@requires("account:write")
def list_sessions() -> Response:
    """One's own sessions, last seen first."""
    found, current = accounts.list_sessions(), principal().credential
    return json([present_session(each, is_current=each.session_id == current) for each in found])


@describes(status=204)
@requires("account:write")
def end_session(session_id: UUID) -> Response:
    """End one of one's own sessions."""
    accounts.end_session(session_id)
    return Response(status=204)


@describes(answer=Ended)
@requires("account:write")
def end_other_sessions() -> Response:
    """End all of one's own sessions but this one."""
    return json({"ended": accounts.end_other_sessions()})


def _user() -> dict[str, Any]:
    """The caller's account; of who has none what is known."""
    caller = principal()
    user_id = parse_id(caller.user_id)
    if user_id is None or caller.proof is Proof.HANDLER:
        return {"user_id": caller.user_id}
    with backend().db.read() as tx:
        return present_user(users.get(tx, user_id))


def signed_in(user: User, status: int = 200) -> Response:
    """The answer to who has a new session."""
    permissions = permissions_of(user.role, None)
    shown = {"user": present_user(user), "permissions": sorted(permissions), "csrf_token": sessions.csrf_token()}
    return json(shown, status)
