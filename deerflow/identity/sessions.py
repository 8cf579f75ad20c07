"""Sessions: one signed cookie that names a row; the row can be listed and ended, so the cookie alone opens nothing.

The cookie is Flask's own session, signed by itsdangerous: ``_user_id`` (flask-login's name for the session's id),
``uid``, ``ver`` (the user's ``token_version`` when it was written) and ``csrf_token`` (flask-wtf's secret, which
lives as long as the session). It is as good as its row, on the database's clock; nothing here compares clocks.
Before a sign-in it carries a CSRF secret alone: the pre-session. A sign-in keeps nothing of it.

Two different cookies of ours at once, as a neighbour's domain may set one beside ours, are as good as none.
"""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Flask, Request, Response, current_app, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import BadData
from itsdangerous.url_safe import URLSafeTimedSerializer
from wtforms import ValidationError

from deerflow.domain.accounts import Session, User, principal_of
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import Conflict, Forbidden
from deerflow.identity import opened
from deerflow.storage import sessions
from deerflow.storage.database import Tx

COOKIE = "deerflow_session"
CSRF_HEADER = "X-CSRFToken"
_MOST_COOKIE = 4096


class SignedIn(UserMixin):  # type: ignore[misc]
    """What flask-login holds of a caller: a session and whose it is."""

    def __init__(self, row: Session, user: User, *, is_due: bool = False) -> None:
        self.row, self.user, self.is_due = row, user, is_due

    def get_id(self) -> str:
        """The session's id, so that each can be ended by itself."""
        return str(self.row.session_id)


class _Cookie(SecureCookieSessionInterface):
    """Flask's cookie, secure when this request came so, and good for as long as its row."""

    def open_session(self, app: Flask, asked: Request) -> SecureCookieSession | None:
        """Read it whatever its age: two machines' clocks may differ, and the row knows when it ends."""
        signer = self.get_signing_serializer(app)
        texts = set(asked.cookies.getlist(self.get_cookie_name(app)))
        found = [values for text in texts if signer and (values := _signed(signer, text)) is not None]
        return self.session_class(found[0] if len(found) == 1 else None)

    def save_session(self, app: Flask, session: SessionMixin, answer: Response) -> None:
        """Write it, but not for what has failed: no row was begun or ended there, so the cookie stays what it was."""
        if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            super().save_session(app, session, answer)

    def get_cookie_secure(self, _app: Flask) -> bool:
        """Whether this request came over https, as far as whom we trust says."""
        return bool(request.is_secure)


def register(app: Flask, secrets: list[str], *, seconds: int) -> None:
    """Give an app its cookie."""
    app.config.update(
        SECRET_KEY=secrets[0],
        SECRET_KEY_FALLBACKS=secrets[1:],
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=seconds,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = _Cookie()
    sign_ins = LoginManager()
    # Its context processor would look a session up for every page, also for the one that tells of a database away.
    sign_ins.init_app(app, add_context_processor=False)
    sign_ins.session_protection = None
    sign_ins.user_loader(_load)


def find(asked: Request) -> Principal | None:
    """Who is signed in; Forbidden when the request could change something and lacks the session's CSRF token."""
    if not current_user.is_authenticated:
        return None
    if may_change(asked):
        require_csrf(asked)
    caller: SignedIn = current_user
    if caller.is_due:
        _note_seen(caller)
    return principal_of(caller.user, proof=Proof.SESSION, credential=caller.row.session_id)


def signed_in() -> SignedIn:
    """The session of who is calling, for views that are about it; Conflict when something else names the caller."""
    if g.principal.proof is not Proof.SESSION:
        raise Conflict("This is about a session, and nobody is signed in here with one")
    caller: SignedIn = current_user
    return caller


def is_remembered() -> bool:
    """Whether this browser was told to stay signed in."""
    return session.permanent


def sign_in(tx: Tx, user: User, *, remember: bool) -> Session:
    """Begin a session of this user and write its cookie; whatever the browser had before is void."""
    if (replaced := parse_id(str(session.get("_user_id")))) is not None:
        sessions.discard(tx, replaced)
    browser, address = _printable(request.headers.get("User-Agent", "")), request.remote_addr or ""
    row = sessions.begin(tx, user, browser=browser, address=address, seconds=_seconds())
    session.clear()
    g.pop("csrf_token", None)  # flask-wtf's memory of the token that was good until now
    session.permanent = remember
    login_user(SignedIn(row, user))
    session["uid"], session["ver"] = user.owner, user.token_version
    return row


def sign_out(tx: Tx) -> None:
    """End the caller's session, on the server and in the browser."""
    caller: SignedIn = current_user
    sessions.discard(tx, caller.row.session_id)
    logout_user()
    session.clear()


def csrf_token() -> str:
    """The token that this browser has to send in ``X-CSRFToken``; good as long as its session."""
    return str(generate_csrf())


def require_csrf(asked: Request) -> None:
    """Raise Forbidden unless the request carries its session's CSRF token."""
    token = asked.headers.get(CSRF_HEADER) or _of_form(asked)
    for secret in opened.secrets():
        with suppress(ValidationError):
            validate_csrf(token, secret_key=secret)
            return
    raise Forbidden(f"The header {CSRF_HEADER} is missing or is not this session's: load the page again")


def _of_form(asked: Request) -> str | None:
    """The token as the forms of our pages send it."""
    return asked.form.get("csrf_token") if asked.mimetype == "application/x-www-form-urlencoded" else None


def may_change(asked: Request) -> bool:
    """Whether a request can change something, whatever its method."""
    if asked.method not in {"GET", "HEAD", "OPTIONS"}:
        return True
    return bool(asked.args.get("action") or asked.args.get("cancel_on_disconnect"))


def _load(session_id: str) -> SignedIn | None:
    """flask-login's question: whose session this is."""
    found, version = parse_id(str(session_id)), session.get("ver")
    if found is None or not isinstance(version, int):
        return None
    return _find(found, version)


def _find(session_id: UUID, version: int) -> SignedIn | None:
    with opened.backend().db.read() as tx:
        found = sessions.find(tx, session_id, version=version)
    if found is None:
        return None
    row, user, is_due = found
    return SignedIn(row, user, is_due=is_due)


def _note_seen(caller: SignedIn) -> None:
    """Let the session, and its cookie, last from now on again."""
    about, seen_from = caller.row.session_id, request.remote_addr or ""
    opened.backend().uses.note(
        about, partial(sessions.note_seen, session_id=about, address=seen_from, seconds=_seconds())
    )
    session.modified = True


def _printable(text: str) -> str:
    """A text that does nothing to the terminal on which somebody reads it: headers may hold escape sequences."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _signed(signer: URLSafeTimedSerializer, text: str) -> dict[str, Any] | None:
    """What we have signed, at whatever time; None for all that we have not."""
    if len(text) > _MOST_COOKIE:
        return None
    try:
        values = signer.loads(text)
    except (BadData, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _seconds() -> int:
    return int(current_app.permanent_session_lifetime.total_seconds())
