"""The pages for people, under ``/console`` but for ``/docs``; of Jinja, and of use without a script."""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, request

from deerflow.authz import public
from deerflow.web import (
    account,
    agents,
    approvals,
    audit,
    docs,
    errors,
    frame,
    home,
    joining,
    keys,
    look,
    password,
    run,
    runs,
    security,
    setup,
    sign_in,
    system,
    threads,
    users,
    workspace,
)

PREFIX = "/console"
ROOMS = (
    home,
    look,
    setup,
    sign_in,
    joining,
    password,
    account,
    keys,
    workspace,
    users,
    system,
    audit,
    threads,
    runs,
    run,
    approvals,
    agents,
)


def register(app: Flask) -> None:
    """Put the pages into an app, with what their answers have in common."""
    app.config["WTF_CSRF_ENABLED"] = app.config["DEERFLOW_AUTH"] != "none"  # there a request's origin says all
    look.register(app)
    frame.register(app)
    console = Blueprint("console", __name__, url_prefix=PREFIX, template_folder="templates", static_folder=None)
    for room in ROOMS:
        room.add_to(console)
    console.get("/static/<build>/<path:name>")(security.static_file)
    app.register_blueprint(console)
    for short in ("login", "setup"):
        app.add_url_rule(f"/{short}", f"to_{short}", _leads_to(short), methods=["GET"])
    docs.register(app)
    app.after_request(security.guard)  # the last one that is named goes first
    app.after_request(errors.as_page)


def _leads_to(name: str) -> Callable[[], Response]:
    """A view that leads from a short path to the page of that name, with what the path carries."""

    @public
    def lead() -> Response:
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        return Response(status=302, headers={"Location": f"{request.script_root}{PREFIX}/{name}{query}"})

    return lead
