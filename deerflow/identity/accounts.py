"""What people do with their own accounts: sign in, register, change password and e-mail.

Each begins a session and writes its cookie, in the transaction of what it does.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from uuid import UUID

from flask import current_app, request

from deerflow.auth import links, passwords
from deerflow.auth.links import Link
from deerflow.backend import Backend
from deerflow.domain.accounts import Session, User, canonical_email
from deerflow.domain.principal import Role
from deerflow.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from deerflow.identity import guesses, opened, sessions
from deerflow.runtime.users import By, follow_reset_link
from deerflow.storage import audit, users
from deerflow.storage import sessions as rows
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_WRONG = "Wrong e-mail or password"


def require_mode_accounts() -> None:
    """Raise Conflict where nobody signs in with a password."""
    mode = current_app.config["DEERFLOW_AUTH"]
    if mode == "none":
        raise Conflict("Accounts are switched off (DEERFLOW_AUTH=none)")
    if mode != "accounts":
        raise Conflict(f"Nobody signs in with a password here (DEERFLOW_AUTH={mode})")


def login(email: str, password: str, *, remember: bool) -> User:
    """Sign in; Unauthenticated, in the same words and time whatever is wrong, RateLimited after too many tries."""
    backend, email = opened.backend(), canonical_email(email)
    with _counted(guesses.of_login(backend, email, request.remote_addr)):
        with backend.db.read() as tx:
            user = users.find_by_email(tx, email)
        found = user if user is not None and user.can_sign_in else None
        if not _is_right(password, found):
            _note_failure(backend, email, user)
            raise Unauthenticated(_WRONG)
        assert found is not None
        return _begin(backend, found, password, remember=remember)


def register(email: str, password: str, *, name: str | None = None) -> User:
    """Make an account of one's own and sign in to it; Forbidden where that is switched off, Conflict if it is taken."""
    backend, email = opened.backend(), canonical_email(email)
    if not current_app.config["DEERFLOW_REGISTRATION"]:
        raise Forbidden("Registration is switched off here; ask an administrator for an account")
    guesses.count_registration(backend.limits, request.remote_addr)
    passwords.check(password, email)
    hashed = aside(passwords.hash, password)
    with backend.db.begin() as tx:
        user = users.create(tx, email, role=Role.USER, password=hashed, name=name)
        _note(tx, "user.create", user, by="registration")
        begin_session(tx, user, remember=False)
    return user


def change_password(password: str, new_password: str) -> User:
    """Change the caller's password: all sessions end, and this browser gets a new one."""
    user = sessions.signed_in().user
    passwords.check(new_password, user.email)
    if new_password == password:
        raise Invalid("new_password: is the one that you have")
    return _changed("password.change", password, lambda: {"password": aside(passwords.hash, new_password)})


def change_email(password: str, email: str) -> User:
    """Change the caller's e-mail: all sessions end, and this browser gets a new one. Conflict if it is taken."""
    email, mine = canonical_email(email), sessions.signed_in()

    def changes() -> dict[str, Any]:
        guesses.count_new_email(opened.backend().limits, mine.user)
        return {"email": email}

    return _changed("email.change", password, changes)


def signed(link: Link) -> str:
    """The token of a link that sets a password."""
    return links.sign(opened.secrets(), links.RESET, link)


def find_of_link(token: str) -> User | None:
    """Whose password a token sets; None when it opens nothing."""
    with suppress(Forbidden, NotFound):
        link = links.read(opened.secrets(), links.RESET, token, seconds=links.RESET_SECONDS)
        with opened.backend().db.read() as tx:
            user = users.get(tx, link.user_id)
        return user if user.token_version == link.version else None
    return None


def reset_password(token: str, password: str) -> User:
    """Set the password that the bearer of a token wants; Forbidden when it opens nothing, RateLimited after many."""
    backend = opened.backend()
    with _counted(guesses.of_link(request.remote_addr)):
        link = links.read(opened.secrets(), links.RESET, token, seconds=links.RESET_SECONDS)
        with backend.db.read() as tx:
            email = users.get(tx, link.user_id).email
        passwords.check(password, email)
        hashed = aside(passwords.hash, password)
        with backend.db.begin() as tx:
            return follow_reset_link(tx, link, hashed, By(address=request.remote_addr))


def logout() -> None:
    """End this session."""
    mine = sessions.signed_in()
    with opened.backend().db.begin() as tx:
        _note(tx, "session.end", mine.user, subject=str(mine.row.session_id))
        sessions.sign_out(tx)


def list_sessions() -> list[Session]:
    """The caller's sessions, last seen first."""
    mine = sessions.signed_in()
    with opened.backend().db.read() as tx:
        return rows.of_user(tx, mine.user.user_id)


def end_session(session_id: UUID) -> None:
    """End one of the caller's sessions; NotFound when it is none of theirs."""
    mine = sessions.signed_in()
    if session_id == mine.row.session_id:
        logout()
        return
    with opened.backend().db.begin() as tx:
        rows.end(tx, mine.user.user_id, session_id)
        _note(tx, "session.end", mine.user, subject=str(session_id))


def end_other_sessions() -> int:
    """End all of the caller's sessions but this one; how many there were."""
    mine = sessions.signed_in()
    with opened.backend().db.begin() as tx:
        ended = rows.end_others(tx, mine.user.user_id, but=mine.row.session_id)
        _note(tx, "session.end", mine.user, others=ended)
    return ended


def begin_session(tx: Tx, user: User, *, remember: bool) -> None:
    """Sign somebody in who has shown who they are, and note it; the cookie goes with the answer."""
    begun = sessions.sign_in(tx, user, remember=remember)
    _note(tx, "session.begin", user, subject=str(begun.session_id), browser=begun.browser)


def aside(act: Callable[..., Any], *args: Any) -> Any:
    """Compute without holding up others, as the front door has arranged it."""
    return current_app.extensions["deerflow.aside"](act, *args)


def _changed(action: str, password: str, values: Callable[[], dict[str, Any]]) -> User:
    """Change what only the password's owner may change."""
    backend, mine = opened.backend(), sessions.signed_in()
    with _counted(guesses.of_session(mine.row.session_id)):
        if not _is_right(password, mine.user):
            with _noted_if_possible(), backend.db.begin() as tx:
                _note(tx, "password.fail", mine.user)
            raise Forbidden("password: is not your password")
        changes = values()
    with backend.db.begin() as tx:
        if users.confirm(tx, mine.user) is None:
            raise Conflict("Your account has been changed meanwhile; sign in again")
        changed = users.change_and_sign_out(tx, mine.user.user_id, **changes)
        _note(tx, action, changed)
        sessions.sign_in(tx, changed, remember=sessions.is_remembered())
    return changed


def _begin(backend: Backend, user: User, password: str, *, remember: bool) -> User:
    """Begin the session of somebody whose password was right."""
    outdated = passwords.is_outdated(user.password or "")
    renewed = aside(passwords.hash, password) if outdated else user.password
    with backend.db.begin() as tx:
        confirmed = users.confirm(tx, user)
        if confirmed is None:  # changed or disabled since it was read
            raise Unauthenticated(_WRONG)
        if outdated:
            users.change(tx, user.user_id, password=renewed)
        begin_session(tx, confirmed, remember=remember)
    return confirmed


def _is_right(password: str, user: User | None) -> bool:
    return bool(aside(passwords.verify, password, user.password if user else None))


def _note(tx: Tx, action: str, user: User, *, subject: str | None = None, **detail: Any) -> None:
    audit.note(
        tx, action, actor=user.owner, subject=subject or user.email, address=request.remote_addr or None, **detail
    )


def _note_failure(backend: Backend, email: str, user: User | None) -> None:
    known = "unknown" if user is None else "not allowed" if not user.can_sign_in else "wrong password"
    with _noted_if_possible(), backend.db.begin() as tx:
        audit.note(tx, "session.fail", actor=None, subject=email, address=request.remote_addr or None, reason=known)


@contextmanager
def _noted_if_possible() -> Iterator[None]:
    """A wrong password stays wrong, and counted, while the database takes no entry that says so."""
    try:
        yield
    except Unavailable as error:
        log.warning("A wrong password is not in the audit: the database takes no entries", extra={"reason": error})


def _counted(about: list[guesses.Guess]) -> AbstractContextManager[None]:
    return guesses.counted(opened.backend().limits, current_app.extensions["deerflow.guesses"], about)
