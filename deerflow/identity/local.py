"""Mode ``none``: every caller on this machine is the principal ``local``. What must not happen is that a web page
elsewhere, or a stranger through a proxy, acts as that caller. So a request has to come from a loopback address, to
a loopback name, not through a proxy, and not from another site's page, unless the settings name its origin.
"""

from flask import Request

from deerflow.domain.principal import LOCAL, RUN, Principal
from deerflow.errors import Forbidden
from deerflow.identity import origins
from deerflow.identity.loopback import hostname, is_loopback
from deerflow.identity.proxies import FORWARDED

_LOCAL = Principal(LOCAL, RUN | {"system:read"})


def identify(request: Request) -> Principal:
    """The principal ``local``; Forbidden for who may be somebody else."""
    _require_same_machine(request)
    _require_same_site(request)
    return _LOCAL


def _require_same_machine(request: Request) -> None:
    if request.remote_addr and not is_loopback(request.remote_addr):
        raise Forbidden("Without authentication only callers on this machine are served")
    if not is_loopback(hostname(f"//{request.host}")):
        raise Forbidden(f"Without authentication the host '{request.host}' is not served; use http://127.0.0.1")
    if request.environ[FORWARDED] or "Via" in request.headers:
        raise Forbidden("Without authentication this server must not stand behind a proxy")


def _require_same_site(request: Request) -> None:
    origin = request.headers.get("Origin")
    if origin is None and request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise Forbidden("A page of another site may not call this server")
    if origin is not None and not origins.current().trusts(origin):
        raise Forbidden(f"The origin '{origin}' may not call this server; DEERFLOW_CORS_ORIGINS names those that may")
