"""What the server says about itself."""

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from deerflow import __version__
from deerflow.api import metrics
from deerflow.api.context import backend, json
from deerflow.api.describe import METRICS, describes
from deerflow.api.mounts import PLATFORM, current_mount
from deerflow.api.wire.body import flag
from deerflow.api.wire.queries import HealthWanted, MetricsWanted
from deerflow.api.wire.shown import Health, Info, Live, Ready
from deerflow.authz import public


def blueprint() -> Blueprint:
    """The routes of the system; made anew for each mount."""
    bp = Blueprint("system", __name__)
    bp.get("/")(root)
    bp.get("/ok")(ok)
    bp.get("/live")(live)
    bp.get("/ready")(ready)
    bp.get("/info")(info)
    bp.get("/metrics")(tell_metrics)
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


@describes(answer=Live)
@public
def live() -> Response:
    """That this process serves; it looks at nothing else, so a database that is away restarts nothing."""
    return json({"ok": True})


@describes(answer=Ready, errors={503: "A part is missing; `parts` says which."})
@public
def ready() -> Response:
    """Whether requests can be answered and runs executed: database, schema, Redis, and somebody at every queue."""
    parts = metrics.current().parts.get()
    missing = [part for part, said in parts.items() if said != "ok"]
    if not missing:
        return json({"ok": True, "parts": parts})
    answer = json({"ok": False, "parts": parts, "detail": f"Not ready: {', '.join(missing)}"}, 503)
    answer.headers["Retry-After"] = "1"
    return answer


@describes(
    answer=dict[str, Any],
    produces=(METRICS,),
    query=MetricsWanted,
    errors={401: "Administrators only.", 403: "Administrators only.", 404: "It is switched off.", 409: "No accounts."},
)
@public
def tell_metrics() -> Response:
    """Numbers for Prometheus, or with `format=json` as JSON; `DEERFLOW_METRICS` says for whom."""
    metrics.require_reader()
    if request.args.get("format") == "json":
        return json(metrics.as_json())
    return Response(metrics.current().text(), content_type=CONTENT_TYPE_LATEST)


@describes(answer=dict[str, Any])
@public
def tell_openapi() -> Response:
    """All routes as an OpenAPI document: who may call each, what it takes and what it answers."""
    return json(current_app.extensions["deerflow.document"]())


@describes(answer=Info)
@public
def info() -> Response:
    """Versions, and what this server can do."""
    return json(
        {
            "version": __version__,
            "langgraph_py_version": version("langgraph"),
            "flags": {"assistants": True, "crons": True, "langsmith": False},
            "host": {
                "kind": "self-hosted",
                "project_id": None,
                "host_revision_id": None,
                "revision_id": None,
                "tenant_id": None,
            },
        }
    )
