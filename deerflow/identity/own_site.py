"""Requests that a page of another site makes a browser send, with credentials that the browser adds by itself."""

from urllib.parse import urlsplit

from flask import Request

from deerflow.errors import Forbidden
from deerflow.identity.sessions import may_change


def require_own_site(request: Request) -> None:
    """Raise Forbidden when this can change something and a page of another site may have made a browser send it.

    Not so where the request carries a key or a bearer token: a browser adds neither by itself.
    """
    if _has_token(request) or not may_change(request):
        return
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise Forbidden("A page of another site may not call this server")
    origin = request.headers.get("Origin")
    if origin is not None and _host(origin) != request.host.lower():
        raise Forbidden(f"The origin '{origin}' may not call this server")


def _has_token(request: Request) -> bool:
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    return "X-Api-Key" in request.headers or scheme.lower() == "bearer"


def _host(origin: str) -> str:
    """The host and port of an origin; empty for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
