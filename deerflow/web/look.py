"""How a reader wants the pages: language, time zone, light or dark. What a user has chosen goes first, then this
browser's cookie, then what the browser says it likes.
"""

from collections.abc import Collection
from functools import cache
from zoneinfo import available_timezones

from flask import Blueprint, Flask, Response, current_app, g, request
from flask_babel import Babel
from flask_login import current_user
from pytz import all_timezones  # type: ignore[import-untyped]

from deerflow.authz import public
from deerflow.domain.accounts import User
from deerflow.domain.principal import Proof
from deerflow.identity import opened, sessions
from deerflow.identity.own_page import require_own_origin
from deerflow.storage import users
from deerflow.web.places import lead, next_place
from deerflow.web.words import LANGUAGES, Words

SCHEMES = ("system", "light", "dark")

_LANGUAGE, _SCHEME, _ZONE = "deerflow_language", "deerflow_scheme", "deerflow_zone"
_OF = {"en": "en-US", "zh": "zh-CN"}
_CHOICES: dict[str, Collection[str]] = {"language": LANGUAGES, "scheme": SCHEMES}
_YEAR = 365 * 24 * 3600


def register(app: Flask) -> None:
    """Let an app's pages speak the reader's language."""
    Babel(app, default_locale="en_US", locale_selector=_locale, timezone_selector=zone).domain_instance = Words()


def add_to(console: Blueprint) -> None:
    """Add the route of the choice that every page offers."""
    console.post("/look", endpoint="look")(choose)


@public
def choose() -> Response:
    """Keep the language or scheme that was chosen, and lead back to the page."""
    require_own_origin(request)
    answer = lead(next_place(request.form.get("back")))
    chosen = {name: value for name, values in _CHOICES.items() if (value := request.form.get(name)) in values}
    for name, value in chosen.items():
        answer.set_cookie(
            f"deerflow_{name}", str(value), max_age=_YEAR, samesite="Lax", path=request.script_root or "/"
        )
    if chosen and _is_signed_in():
        sessions.require_csrf(request)
        with opened.backend().db.begin() as tx:
            users.change(tx, current_user.user.user_id, **chosen)
    return answer


def language() -> str:
    """The reader's language, as BCP 47 names it."""
    user = _user()
    for wanted in (user and user.language, request.cookies.get(_LANGUAGE)):
        if wanted in LANGUAGES:
            return str(wanted)
    return next((_OF[tag] for tag in map(_primary, request.accept_languages.values()) if tag in _OF), "en-US")


def scheme() -> str:
    """``light`` or ``dark``, or ``system``: as the reader's machine has it."""
    user = _user()
    for wanted in (user and user.scheme, request.cookies.get(_SCHEME)):
        if wanted in SCHEMES:
            return str(wanted)
    return "system"


def zone() -> str:
    """The reader's time zone, an IANA name: chosen, or what this browser's script has said."""
    user = _user()
    for wanted in (user and user.time_zone, request.cookies.get(_ZONE)):
        if wanted in _zones():
            return str(wanted)
    return "UTC"


def _locale() -> str:
    """The same as Babel names it."""
    return LANGUAGES[language()]


def _primary(tag: str) -> str:
    """``zh`` of ``zh-Hans-CN``."""
    return tag.partition("-")[0].lower()


def _user() -> User | None:
    """The user that this page is for, if that is known: a page that tells of a database away asks it nothing."""
    caller = g.get("principal")
    return current_user.user if caller is not None and caller.proof is Proof.SESSION else None


def _is_signed_in() -> bool:
    return current_app.config["DEERFLOW_AUTH"] == "accounts" and bool(current_user.is_authenticated)


@cache
def _zones() -> set[str]:
    """Those that flask-babel knows as well, which has a table of its own: not ``localtime``, for one."""
    return available_timezones() & set(all_timezones)
