"""Set-up as the web sees it: nobody gets in before it is finished, and who holds the one-time link finishes it."""

import logging
from enum import StrEnum

from flask import Flask, current_app, request

from deerflow.auth import links, passwords
from deerflow.auth.addresses import household
from deerflow.auth.limits import Limit
from deerflow.auth.links import Link
from deerflow.backend import Backend
from deerflow.domain.accounts import User, canonical_email
from deerflow.errors import Conflict, Forbidden, Unauthenticated, Unavailable
from deerflow.identity import accounts, opened
from deerflow.runtime.set_up import finish_set_up, first_boot, is_open
from deerflow.settings import Settings, flask_command
from deerflow.storage.schema import revision

log = logging.getLogger(__name__)

HOW = f"open the link in the server's log, or run: {flask_command()} users setup-link"
_WRONG_LINKS = Limit("set-up", 20, 300, "Too many wrong set-up links from this address; try again later")


class Status(StrEnum):
    """What is known of set-up."""

    NEEDED = "needed"
    NOT_NEEDED = "not_needed"
    UNKNOWN = "unknown"


def announce(app: Flask, settings: Settings) -> None:
    """At the start of a web process: open set-up if there is nobody yet, and log its one-time link.

    A database that is away hinders no start; the first request finds out.
    """
    backend: Backend = app.extensions["deerflow"]
    if settings.auth != "accounts":
        return
    try:
        here, wanted = revision(backend.db)
        if here != wanted:
            log.warning("The schema is not up to date: flask --app app db upgrade", extra={"here": here})
            return
        waiting = first_boot(backend, admin_email=settings.admin_email, admin_password=settings.admin_password)
    except Unavailable as error:
        log.warning("The database is away; whether set-up is needed will be seen", extra={"reason": error})
        return
    if waiting is not None:
        link = backend.project.http.mount_prefix + links.set_up_path(opened.secrets(app), waiting)
        log.warning("Set-up is not finished: open this path of the server in a browser", extra={"link": link})


def is_finished() -> bool:
    """Whether there is an administrator who can sign in. Once there is, nobody asks the database again."""
    extensions = current_app.extensions
    if current_app.config["DEERFLOW_AUTH"] != "accounts" or extensions.get("deerflow.set_up_finished"):
        return True
    extensions["deerflow.set_up_finished"] = not is_open(extensions["deerflow"])
    return bool(extensions["deerflow.set_up_finished"])


def require_finished() -> None:
    """Raise Unauthenticated as long as set-up is open."""
    if not is_finished():
        raise Unauthenticated(f"Set-up is not finished: {HOW}")


def status() -> Status:
    """What is known of set-up; never an error, because people and scripts ask this first."""
    try:
        return Status.NOT_NEEDED if is_finished() else Status.NEEDED
    except Unavailable:
        return Status.UNKNOWN
    except Exception:  # whatever it is: the log says it, and who asks needs an answer
        log.exception("Whether set-up is needed could not be seen")
        return Status.UNKNOWN


def read(token: str) -> Link:
    """Whom a set-up link is for; Conflict when set-up is finished, Forbidden for a wrong one, RateLimited after many.

    A right one is never counted, so no number of wrong ones keeps its holder out.
    """
    if is_finished():
        raise Conflict("Set-up is finished already, so this link is spent: sign in")
    try:
        return links.read(opened.secrets(), links.SET_UP, token, seconds=None)
    except Forbidden as error:
        opened.backend().limits.spend(_WRONG_LINKS, household(request.remote_addr))
        raise Forbidden(f"This is not the set-up link of this server: {HOW}") from error


def finish(token: str, email: str, password: str, *, name: str | None = None, language: str | None = None) -> User:
    """Make the bearer of the link the administrator, and sign them in. Conflict for all but the first."""
    link, backend = read(token), opened.backend()
    email = canonical_email(email)
    passwords.check(password, email)
    hashed = accounts.aside(passwords.hash, password)
    told = {"name": name, "language": language, "address": request.remote_addr}
    with backend.db.begin() as tx:
        user = finish_set_up(tx, email, password=hashed, version=link.version, **told)
        accounts.begin_session(tx, user, remember=False)
    backend.bell.sweep()
    return user
