"""Where pages are, and where one may be led."""

import re
from pathlib import Path
from urllib.parse import urlencode

from flask import Request, Response, redirect, request

STATIC = Path(__file__).parent / "static"

_OURS = re.compile(r"/console/[^\\\x00-\x1f\x7f]*")


def is_page(asked: Request) -> bool:
    """Whether a request is for the pages."""
    return is_docs(asked) or asked.path == "/console" or asked.path.startswith("/console/")


def is_docs(asked: Request) -> bool:
    """Whether it is for the page that tells of the API, which has no script."""
    return asked.path in {"/docs", "/api/docs"}


def next_place(text: str | None) -> str:
    """Where somebody wanted to go, if that is a page of ours; else the first page."""
    return page_place(text, otherwise="/console/")


def page_place(text: str | None, *, otherwise: str) -> str:
    """A place, if it is a page of ours."""
    return text if text is not None and _OURS.fullmatch(text) else otherwise


def lead(place: str) -> Response:
    """Lead a browser to a page, by GET whatever it has done here."""
    return redirect(f"{request.script_root}{place}", code=303)  # type: ignore[return-value]


def sign_in_place(asked: Request) -> str:
    """Where one signs in and comes back from to what was asked for."""
    wanted = asked.full_path.rstrip("?") if asked.method in {"GET", "HEAD"} else "/console/"
    return "/console/login" if wanted == "/console/" else f"/console/login?{urlencode({'next': wanted})}"
