"""What every page says to the browser: nothing from elsewhere, no script, no frame, no copy."""

from flask import Response, request

from deerflow.web.places import STATIC, is_page

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def guard(answer: Response) -> Response:
    """Add the headers of pages."""
    if is_page(request):
        answer.headers["Content-Security-Policy"] = _POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def static(name: str, mimetype: str) -> Response:
    """A file that is the same for everybody; browsers ask each time whether it has changed."""
    answer = Response((STATIC / name).read_bytes(), mimetype=mimetype)
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    answer.make_conditional(request)
    return answer
