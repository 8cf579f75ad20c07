"""Mode ``trusted-header``: a proxy has signed the caller in, and names them in a header.

The header of anybody but a trusted proxy opens nothing. Who is named for the first time gets an account, whose role
administrators change, or the command line. API keys work too, and go first. What the proxy knows its browsers by is
added to every request, so what can change something must not come from a page of another site.
"""

from flask import Flask, Request, current_app

from deerflow.auth.keys import is_ours
from deerflow.backend import Backend
from deerflow.domain.accounts import User, canonical_name, principal_of
from deerflow.domain.principal import Principal, Proof, Role
from deerflow.errors import Conflict, Forbidden, Invalid, Unauthenticated
from deerflow.identity import keys, opened
from deerflow.identity.own_page import require_own_change
from deerflow.identity.proxies import PROXIED
from deerflow.storage import audit, users


def register(app: Flask, name: str) -> None:
    """Tell an app in which header its callers are named."""
    app.extensions["deerflow.trusted_header"] = name


def identify(request: Request) -> Principal:
    """Whom the proxy names, or whose API key this is."""
    if is_ours(keys.sent(request) or ""):
        found = keys.find(request)
        assert found is not None
        return found
    name = _named(request)
    require_own_change(request)
    user = _user(opened.backend(), name, address=request.remote_addr)
    if user.disabled_at is not None:
        raise Forbidden("This account is disabled")
    return principal_of(user, proof=Proof.HEADER)


def _named(request: Request) -> str:
    """The canonical name in the header; Unauthenticated when nobody who is trusted names exactly one user."""
    text = request.headers.get(current_app.extensions["deerflow.trusted_header"])
    if text is None or not request.environ.get(PROXIED):
        raise Unauthenticated("Sign in at the proxy in front of this server, or send an API key in x-api-key")
    try:
        # Two headers come as one, with a comma between them.
        return canonical_name(text.encode("latin-1").decode())
    except (Invalid, UnicodeError) as error:
        raise Unauthenticated(f"The proxy in front of this server must name one user: {error}") from error


def _user(backend: Backend, name: str, *, address: str | None) -> User:
    """The account of this name; made at the first request, by one of those that come at once."""
    with backend.db.read() as tx:
        found = users.find_by_email(tx, name)
    if found is not None:
        return found
    try:
        with backend.db.begin() as tx:
            made = users.create(tx, name, role=Role.USER, password=None)
            audit.note(tx, "user.create", actor=made.owner, subject=name, address=address, by="trusted-header")
            return made
    except Conflict:
        with backend.db.read() as tx:
            there = users.find_by_email(tx, name)
    assert there is not None
    return there
