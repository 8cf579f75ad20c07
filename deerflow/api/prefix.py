"""``http.mount_prefix``: the whole server, pages as well, under a path of its own.

The prefix becomes the request's script root, which all links, ``Content-Location`` and redirects begin with; behind it
everything is as without. What probes ask stays where it is, too: they know no prefix.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from deerflow.project import Project

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_OF_PROBES = {"/ok", "/live", "/ready", "/metrics"}
_NOWHERE = "/%"
"""A path that no route has."""


class Prefixed:
    """The WSGI app behind this never sees the prefix in a path."""

    def __init__(self, app: "WSGIApplication", prefix: str) -> None:
        self._app, self._prefix = app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Take the prefix off the path; what does not have it is nowhere."""
        path = environ.get("PATH_INFO", "")
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
            environ["PATH_INFO"] = path.removeprefix(self._prefix) or "/"
        elif path not in _OF_PROBES:
            environ["PATH_INFO"] = _NOWHERE
        return self._app(environ, start_response)


def register(app: Flask, project: Project) -> None:
    """Put an app under its prefix; who is believed about the path before it is settled in front of this."""
    if project.http.mount_prefix:
        app.wsgi_app = Prefixed(app.wsgi_app, project.http.mount_prefix)  # type: ignore[method-assign]
