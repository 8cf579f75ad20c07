"""What every page says to the browser: nothing from elsewhere, no script but ours, no frame, no copy."""

import gzip
import mimetypes
from datetime import timedelta
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from flask import Response, g, request, session
from werkzeug.security import safe_join

from deerflow.authz import public
from deerflow.errors import NotFound
from deerflow.web.frame import build as build_now
from deerflow.web.places import STATIC, is_docs, is_page

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_WITH_SCRIPTS = f"{_POLICY}; script-src 'self'; connect-src 'self'"
_FOR_EVER = timedelta(days=365)
_PACKED = {"text/javascript", "text/css", "text/html", "text/plain", "application/json", "image/svg+xml"}
_WORTH_BYTES = 1_000
_MOST_BYTES = 2_000_000
"""What is longer goes as it is: to hash and to pack it takes so long that others would notice."""
_QUICK = 4
"""A level of gzip: pages are packed anew each time."""
_TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml"}


def guard(answer: Response) -> Response:
    """Add the headers of pages, and send no more of them than is needed."""
    if is_page(request):
        answer.headers["Content-Security-Policy"] = _POLICY if is_docs(request) else _WITH_SCRIPTS
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
        if request.is_secure:
            answer.headers["Strict-Transport-Security"] = f"max-age={int(_FOR_EVER.total_seconds())}"
        if _is_light(answer) and answer.cache_control.no_store and answer.mimetype in _PACKED:
            _name_version(answer)
            _pack(answer)
    return answer


def _is_light(answer: Response) -> bool:
    return answer.is_sequence and (answer.calculate_content_length() or 0) <= _MOST_BYTES


def _name_version(answer: Response) -> None:
    """Name a page's version, and leave out the page where it is the one that is asked about (``If-None-Match``).

    Pages ask so every few seconds (``live.js``). The token of forms is another one each time and does not count, but
    its secret does: the token that the browser has is good as long as its session.
    """
    if answer.status_code != HTTPStatus.OK:
        return
    page, token = answer.get_data(), str(g.get("csrf_token", "")).encode()
    counted = page.replace(token, str(session.get("csrf_token", "")).encode()) if token else page
    answer.set_etag(sha256(counted).hexdigest()[:32], weak=True)
    answer.make_conditional(request)


def _pack(answer: Response) -> None:
    """Pack what our own pages ask for, or somebody at the browser itself.

    Whom another site has sent here might be watched by it, and how short a page packs tells what is in it.
    """
    answer.vary.update(("Accept-Encoding", "Sec-Fetch-Site"))
    is_ours = request.headers.get("Sec-Fetch-Site") in {"same-origin", "none"}
    if answer.status_code == HTTPStatus.NOT_MODIFIED or not is_ours or request.accept_encodings["gzip"] <= 0:
        return
    page = answer.get_data()
    if len(page) >= _WORTH_BYTES:
        answer.set_data(gzip.compress(page, _QUICK, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"


@public
def static_file(build: str, name: str) -> Response:
    """A file that is the same for everybody. Under the build of now it never changes; else browsers ask each time."""
    found = safe_join(str(STATIC), name)
    file = STATIC / found if found else STATIC
    if not _is_file(file):
        raise NotFound("There is no such file")
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    answer = Response(content_type=f"{kind}; charset=utf-8")
    if kind in _PACKED and request.accept_encodings["gzip"] > 0:
        answer.set_data(_packed(file, file.stat().st_mtime_ns))
        answer.headers["Content-Encoding"] = "gzip"
    else:
        answer.set_data(file.read_bytes())
    answer.headers["Vary"] = "Accept-Encoding"
    is_now = build == build_now()
    answer.headers["Cache-Control"] = (
        f"public, max-age={int(_FOR_EVER.total_seconds())}, immutable" if is_now else "no-cache"
    )
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # no file can have so long a name
        return False


@cache
def _packed(file: Path, _changed_at: int) -> bytes:
    """A file as most browsers take it: packed once for each time that it changes."""
    return gzip.compress(file.read_bytes(), mtime=0)
