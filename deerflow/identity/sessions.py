"""Sessions: one signed cookie that names a row; the row can be listed and ended, so the cookie alone opens nothing.

The cookie is Flask's own session, signed by itsdangerous: ``_user_id`` (flask-login's name for the session's id),
``uid``, ``ver`` (the user's ``token_version`` when it was written) and ``csrf_token`` (flask-wtf's secret, which
lives as long as the session). It is as good as its row, on the database's clock; nothing here compares clocks.
"""

from typing import Any
from uuid import UUID

from flask import Flask, Request, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import BadSignature
from wtforms import ValidationError

from deerflow.backend import Backend
from deerflow.domain.accounts import Session, User, principal_of
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import Forbidden
from deerflow.storage import sessions
from deerflow.storage.database import Tx

COOKIE = "deerflow_session"
CSRF_HEADER = "X-CSRFToken"


class SignedIn(UserMixin):  # type: ignore[misc]
    """What flask-login holds of a caller: a session and whose it is."""

    def __init__(self, row: Session, user: User) -> None:
        self.row, self.user = row, user

    def get_id(self) -> str:
        """The session's id, so that each can be ended by itself."""
        return str(self.row.session_id)


class _Cookie(SecureCookieSessionInterface):
    """Flask's cookie, secure when this request came so, and good for as long as its row."""

    def open_session(self, app: Flask, asked: Request) -> SecureCookieSession | None:
        """Read it whatever its age: two machines' clocks may differ, and the row knows when it ends."""
        signer = self.get_signing_serializer(app)
        text = asked.cookies.get(self.get_cookie_name(app))
        if signer is None or not text:
            return self.session_class()
        try:
            return self.session_class(signer.loads(text))
        except BadSignature:
            return self.session_class()

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
    manager = LoginManager(app)
    manager.session_protection = None
    manager.user_loader(_load)


def find(asked: Request) -> Principal | None:
    """Who is signed in; Forbidden when the request could change something and lacks the session's CSRF token."""
    if not current_user.is_authenticated:
        return None
    if may_change(asked):
        require_csrf(asked)
    signed_in: SignedIn = current_user
    return principal_of(signed_in.user, proof=Proof.SESSION, credential=signed_in.row.session_id)


def sign_in(tx: Tx, user: User, *, remember: bool) -> Session:
    """Begin a session of this user and write its cookie; whatever the browser had before is void."""
    seconds = int(current_app.permanent_session_lifetime.total_seconds())
    browser, address = request.headers.get("User-Agent", ""), request.remote_addr or ""
    row = sessions.begin(tx, user, browser=browser, address=address, seconds=seconds)
    session.clear()
    session.permanent = remember
    login_user(SignedIn(row, user))
    session["uid"], session["ver"] = user.owner, user.token_version
    return row


def sign_out(tx: Tx) -> None:
    """End the caller's session, on the server and in the browser."""
    signed_in: SignedIn = current_user
    sessions.end(tx, signed_in.user.user_id, signed_in.row.session_id)
    logout_user()
    session.clear()


def csrf_token() -> str:
    """The token that this browser has to send in ``X-CSRFToken``; good as long as its session."""
    return str(generate_csrf())


def require_csrf(asked: Request) -> None:
    """Raise Forbidden unless the request carries its session's CSRF token."""
    try:
        validate_csrf(asked.headers.get(CSRF_HEADER))
    except ValidationError as error:
        raise Forbidden(f"The header {CSRF_HEADER} is missing or is not this session's: load the page again") from error


def may_change(asked: Request) -> bool:
    """Whether a request can change something, whatever its method."""
    if asked.method not in {"GET", "HEAD", "OPTIONS"}:
        return True
    return bool(asked.args.get("action") or asked.args.get("cancel_on_disconnect"))


def _load(session_id: str) -> SignedIn | None:
    """flask-login's question: whose session this is."""
    found, version = parse_id(session_id), session.get("ver")
    if found is None or not isinstance(version, int):
        return None
    return _find(found, version)


def _find(session_id: UUID, version: int) -> SignedIn | None:
    backend: Backend = current_app.extensions["deerflow"]
    with backend.db.read() as tx:
        row: Any = sessions.find(tx, session_id, version=version)
    return None if row is None else SignedIn(*row)
