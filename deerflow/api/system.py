"""What the server says about itself."""

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, request

from deerflow import __version__
from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.mounts import PLATFORM, current_mount
from deerflow.api.openapi import document
from deerflow.api.wire.body import flag
from deerflow.api.wire.queries import HealthWanted
from deerflow.api.wire.shown import Health, Info
from deerflow.authz import public


def blueprint() -> Blueprint:
    """The routes of the system; made anew for each mount."""
    bp = Blueprint("system", __name__)
    bp.get("/")(root)
    bp.get("/ok")(ok)
    bp.get("/info")(info)
    bp.get("/openapi.json")(tell_openapi)
    return bp


@describes(answer=Health, query=HealthWanted, also={302: "People are led to the pages."})
@public
def root() -> Response:
    """Whether this process serves; on `/` people, who prefer `text/html`, are led to the pages."""
    accepted = request.accept_mimetypes
    if current_mount() is not PLATFORM or accepted["text/html"] <= accepted["application/json"]:
        return ok()
    return Response(status=302, headers={"Location": f"{request.script_root}/console/", "Vary": "Accept"})


@describes(answer=Health, query=HealthWanted)
@public
def ok() -> Response:
    """Whether this process serves; with ``check_db`` also whether database and broker answer."""
    if flag(request.args.get("check_db")):
        backend().ping()
    return json({"ok": True, "services": {}})


@describes(answer=dict[str, Any])
@public
def tell_openapi() -> Response:
    """All routes as an OpenAPI document: who may call each, what it takes and what it answers."""
    return json(document(current_app))


@describes(answer=Info)
@public
def info() -> Response:
    """Versions, and what this server can do."""
    return json(
        {
            "version": __version__,
            "langgraph_py_version": version("langgraph"),
            "flags": {"assistants": True, "crons": False, "langsmith": False},
            "host": {
                "kind": "self-hosted",
                "project_id": None,
                "host_revision_id": None,
                "revision_id": None,
                "tenant_id": None,
            },
        }
    )
