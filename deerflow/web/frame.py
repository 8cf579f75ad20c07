"""What every page has around it: where one can go, who is signed in, and the words and numbers of the reader."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from flask import Flask, current_app, g, request, url_for
from flask_babel import format_datetime, format_timedelta, lazy_gettext
from markupsafe import Markup

from deerflow.domain.principal import Principal, Proof
from deerflow.identity import opened, sessions
from deerflow.runtime import condition
from deerflow.settings import flask_command
from deerflow.web import approvals, look
from deerflow.web.places import STATIC
from deerflow.web.words import NAMES


@dataclass(frozen=True)
class Place:
    """Somewhere that the navigation leads to, for whom may go there; ``endpoint`` without its blueprint."""

    endpoint: str
    name: Any
    icon: str
    permission: str


PLACES = (
    Place("threads", lazy_gettext("Threads"), "threads", "threads:read"),
    Place("runs", lazy_gettext("Runs"), "runs", "runs:read"),
    Place("approvals", lazy_gettext("Approvals"), "approvals", "threads:read"),
    Place("agents", lazy_gettext("Agents"), "agents", "assistants:read"),
    Place("keys", lazy_gettext("API keys"), "keys", "keys:read"),
)
ADMIN_PLACES = (
    Place("users", lazy_gettext("Users"), "users", "users:read"),
    Place("system", lazy_gettext("System"), "system", "system:read"),
    Place("audit", lazy_gettext("Audit"), "audit", "audit:read"),
)


def register(app: Flask) -> None:
    """Give all templates what the frame needs."""
    app.context_processor(_context)
    app.jinja_env.globals.update(when=when, static_url=static_url, csrf_field=csrf_field, flask_command=flask_command)
    app.jinja_env.globals.update(workers_are_there=lambda: condition.workers_are_there(opened.backend()))


def when(at: datetime | None) -> Markup:
    """A moment as people say it, with the exact one in the title; nothing when there is none."""
    if at is None:
        return Markup("")
    ago = format_timedelta(at - datetime.now(UTC), add_direction=True, threshold=1.2)
    exact = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{} · {}">{}</time>').format(
        at.isoformat(), format_datetime(at, "medium"), exact, ago
    )


def static_url(name: str) -> str:
    """Where a file of ours is; another place with each release, so that browsers keep it."""
    return url_for("console.static_file", build=build(), name=name)


@cache
def build() -> str:
    """A name for the static files as they are now. Vendor's are built later, and part of it as well."""
    digest = sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(str(file.relative_to(STATIC)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def csrf_field() -> Markup:
    """The session's token for a form without other fields; nothing where there are no sessions."""
    if current_app.config["DEERFLOW_AUTH"] == "none":
        return Markup("")
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(sessions.csrf_token())


def _context() -> dict[str, Any]:
    caller: Principal | None = g.get("principal")
    return {
        "caller": caller,
        "is_signed_in": caller is not None and caller.proof is Proof.SESSION,
        "me": _name(caller),
        "places": _open(PLACES, caller),
        "admin_places": _open(ADMIN_PLACES, caller),
        "here": (request.endpoint or "").removeprefix("console.").partition("_")[0],
        "language": look.language(),
        "languages": NAMES,
        "scheme": look.scheme(),
        "schemes": look.SCHEMES,
        "waiting": approvals.waiting,
        "this_page": request.full_path.rstrip("?"),
    }


def _name(caller: Principal | None) -> str:
    """What the caller is called; empty where there are no accounts."""
    return str(((caller and caller.user) or {}).get("display_name") or "")


def _open(places: tuple[Place, ...], caller: Principal | None) -> list[Place]:
    return [place for place in places if caller is not None and caller.may(place.permission)]
