"""The first page: who is signed in, a first API key, and what to do with it."""

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, current_app, make_response, render_template, request

from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.domain.accounts import KeyState
from deerflow.domain.principal import Scope
from deerflow.identity import opened, principal
from deerflow.runtime.keys import make_key
from deerflow.storage import keys
from deerflow.web.places import lead


def add_to(console: Blueprint) -> None:
    """Add the page's routes."""
    console.get("/", endpoint="home")(home)
    console.post("/keys", endpoint="first_key")(first_key)


@requires("account:read")
def home() -> Response:
    """Greet, and say how to go on."""
    return _page()


@requires("keys:write")
def first_key() -> Response:
    """Make the caller's first API key and show it, this once."""
    backend, caller = opened.backend(), principal()
    user_id = UUID(caller.user_id)
    with backend.db.begin() as tx:
        if keys.count_good(tx, user_id):  # the page was loaded again
            return lead("/console/")
        by = {"actor": caller.user_id, "address": request.remote_addr}
        _, key = make_key(tx, user_id, name="my first key", scope=Scope.RUN, expires_at=None, **by)
    return _page(key)


def _page(key: str | None = None) -> Response:
    backend, caller = opened.backend(), principal()
    mode = current_app.config["DEERFLOW_AUTH"]
    facts = {
        "offers_key": key is None and caller.may("keys:write") and not _has_key(backend, UUID(caller.user_id)),
        "key": key,
        "mode": mode,
        "url": request.url_root.rstrip("/"),
        "graph": next(iter(backend.project.graphs)),
    }
    return make_response(render_template("console/home.html", **facts))


def _has_key(backend: Backend, user_id: UUID) -> bool:
    """Whether the caller has a key that opens something."""
    at = datetime.now(UTC)
    with backend.db.read() as tx:
        return any(key.state(at) is KeyState.ACTIVE for key in keys.of_user(tx, user_id))
