"""The audit's entries in words: what was done, by whom and to what, in the reader's language."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _

from deerflow.domain.accounts import AuditEntry
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import LOCAL, SYSTEM

Names = Mapping[str, str]
"""What owners are known by."""

Text = Any
"""A text as flask-babel gives it, which is not typed."""

Tell = Callable[[AuditEntry, str], Text]
"""Says what an entry tells; the text is the account that it was done to."""

KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "sign-ins": (_("Sign-ins"), ("session.",)),
    "failed": (_("Failed sign-ins and wrong passwords"), ("session.fail", "password.fail")),
    "passwords": (_("Passwords and e-mail addresses"), ("password.", "email.")),
    "keys": (_("API keys"), ("key.",)),
    "users": (_("Users and roles"), ("user.", "setup.")),
    "deletions": (_("Deletions"), ("thread.delete", "run.delete", "assistant.delete", "user.delete")),
}
"""What can be looked at alone: how addresses name it, in words, and how the actions begin."""

_FAILURES = {
    "unknown": _("there is no such account"),
    "not allowed": _("the account may not sign in"),
    "wrong password": _("wrong password"),
}


def owners_in(entries: Iterable[AuditEntry]) -> set[UUID]:
    """Whom entries may tell of."""
    told = (who for entry in entries for who in (entry.actor, entry.subject) if who)
    return {found for who in told if (found := parse_id(who)) is not None}


def doer(entry: AuditEntry, names: Names) -> Text:
    """Who has done it."""
    if entry.actor is not None:
        return called(entry.actor, names)
    return gettext("Somebody") if entry.action.startswith(("session.", "password.")) else gettext("The operator")


def called(owner: str, names: Names) -> Text:
    """What an owner is known by; an id stays one where the account is gone, or never was here."""
    if owner == LOCAL:
        return gettext("This machine, without accounts")
    return gettext("The server") if owner == SYSTEM else names.get(owner, owner)


def deed(entry: AuditEntry, names: Names) -> Text:
    """What was done. An action that nobody has put into words is told by its name."""
    tell = _TOLD.get(entry.action)
    return tell(entry, _whom(entry, names)) if tell else f"{entry.action} {entry.subject or ''}".strip()


def is_alarming(entry: AuditEntry) -> bool:
    """Whether somebody was refused."""
    return entry.action.endswith(".fail")


def _whom(entry: AuditEntry, names: Names) -> str:
    """The account that it was done to, as it was called then."""
    return str(entry.detail.get("email") or (called(entry.subject, names) if entry.subject else ""))


def _simply(text: Text) -> Tell:
    return lambda _entry, _whom: str(text)


def _to(text: Text) -> Tell:
    """*text* has ``%(whom)s`` in it."""
    return lambda _entry, whom: str(text) % {"whom": whom}


def _session_ended(entry: AuditEntry, whom: str) -> Text:
    if entry.detail.get("which") == "all":
        return gettext("Signed %(whom)s out everywhere", whom=whom)
    others = entry.detail.get("others")
    if others is not None:
        return ngettext("Ended %(num)s other session", "Ended %(num)s other sessions", int(others))
    return gettext("Signed out")


def _sign_in_failed(entry: AuditEntry, whom: str) -> Text:
    reason = _FAILURES.get(str(entry.detail.get("reason")), "")
    return gettext("Could not sign in as %(whom)s: %(reason)s", whom=whom, reason=reason)


def _user_made(entry: AuditEntry, whom: str) -> Text:
    how = entry.detail.get("by")
    if how == "registration":
        return gettext("Registered as %(whom)s", whom=whom)
    if how == "trusted-header":
        return gettext("Came through the proxy for the first time, as %(whom)s", whom=whom)
    if entry.detail.get("role") == "admin":
        return gettext("Made the account %(whom)s, an administrator", whom=whom)
    return gettext("Made the account %(whom)s", whom=whom)


def _password_reset(entry: AuditEntry, whom: str) -> Text:
    if entry.actor == entry.subject:
        return gettext("Set a password by a one-time link")
    return gettext("Set another password for %(whom)s", whom=whom)


def _key(text: Text) -> Tell:
    """*text* has ``%(name)s`` and ``%(prefix)s`` in it."""
    return lambda entry, _whom: str(text) % {"name": _of(entry, "name"), "prefix": _of(entry, "prefix")}


def _thread_deleted(entry: AuditEntry, _whom: str) -> Text:
    runs = entry.detail.get("runs")
    named = entry.subject or ""
    if not isinstance(runs, int):
        return gettext("Deleted the thread %(id)s", id=named)
    return ngettext(
        "Deleted the thread %(id)s with %(num)s run", "Deleted the thread %(id)s with %(num)s runs", runs, id=named
    )


def _of(entry: AuditEntry, name: str) -> str:
    return str(entry.detail.get(name) or "")


_TOLD: dict[str, Tell] = {
    "session.begin": _simply(_("Signed in")),
    "session.end": _session_ended,
    "session.fail": _sign_in_failed,
    "password.fail": _simply(_("Entered a wrong password")),
    "password.change": _simply(_("Changed the password")),
    "password.reset": _password_reset,
    "password.link": _to(_("Made a link to set the password of %(whom)s")),
    "email.change": _to(_("Changed the e-mail to %(whom)s")),
    "user.create": _user_made,
    "user.promote": _to(_("Made %(whom)s an administrator")),
    "user.demote": _to(_("Made %(whom)s a user like others")),
    "user.disable": _to(_("Disabled %(whom)s")),
    "user.delete": _to(_("Deleted the account %(whom)s")),
    "user.enable": _to(_("Enabled %(whom)s")),
    "setup.finish": _to(_("Finished set-up as %(whom)s")),
    "key.create": _key(_("Made the API key “%(name)s” (%(prefix)s…)")),
    "key.revoke": _key(_("Revoked the API key “%(name)s” (%(prefix)s…)")),
    "thread.delete": _thread_deleted,
    "run.delete": lambda entry, _whom: gettext("Deleted the run %(id)s", id=entry.subject or ""),
    "assistant.delete": lambda entry, _whom: gettext("Deleted the agent %(id)s", id=entry.subject or ""),
}
