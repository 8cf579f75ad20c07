"""What langgraph.json switches off (``http.disable_…``): such a route answers as if there were none."""

from collections.abc import Callable

from flask import Flask, current_app, request
from werkzeug.exceptions import NotFound

from deerflow.project import Project

_IS_OF: dict[str, Callable[[str], bool]] = {
    "assistants": lambda path: path.startswith("/assistants"),
    "threads": lambda path: path.startswith("/threads") and "/runs" not in path,
    "runs": lambda path: "/runs" in path,
    "store": lambda path: path.startswith("/store"),
    "meta": lambda path: path in {"/info", "/metrics", "/docs", "/openapi.json"},
    "event_streaming": lambda path: path.endswith(("/stream/events", "/commands")),
}
"""By family whether a route's path, without its mount's prefix, is one of it."""


def register(app: Flask, project: Project) -> None:
    """Switch off what the project does not want."""
    app.config["DEERFLOW_DISABLED"] = project.http.disabled
    if project.http.disabled:
        app.before_request(_refuse)


def is_disabled(app: Flask, path: str) -> bool:
    """Whether a rule of the app is switched off. *path* is the rule's."""
    if path.startswith("/api/v1/"):
        return False
    bare = path.removeprefix("/api") if path.startswith("/api/") else path
    disabled: frozenset[str] = app.config["DEERFLOW_DISABLED"]
    return any(_IS_OF[family](bare) for family in disabled & _IS_OF.keys())


def _refuse() -> None:
    if request.url_rule is not None and is_disabled(current_app, request.url_rule.rule):
        raise NotFound
