"""Who begins a session must do it on a page of this server: no other site may sign a visitor in as somebody else.

A request that a browser has sent tells so by ``Origin``, ``Sec-Fetch-Site`` or a cookie; to the API it has to carry
the token of its pre-session, and a form of our pages that token or the browser's word that the page is ours. A script
sends none of these and needs none: no page can make a browser do the same.
"""

from flask import Request

from deerflow.domain.principal import Principal, Proof
from deerflow.errors import BadRequest, Forbidden
from deerflow.identity import origins, sessions

_OWN = {"same-origin", "none"}


def require_own_page(asked: Request) -> None:
    """Raise BadRequest or Forbidden for a JSON request that another site's page may have made."""
    if asked.mimetype != "application/json":
        raise BadRequest("Send a JSON object, with the header Content-Type: application/json")
    require_own_origin(asked)
    if is_of_a_browser(asked):
        sessions.require_csrf(asked)


def require_own_origin(asked: Request) -> None:
    """Raise Forbidden for a request of another origin's page, as far as its browser says so."""
    origin, own = asked.headers.get("Origin"), _origin_of(asked)
    if origin is not None and origin.lower() != own.lower():
        raise Forbidden(
            f"A page of {origin} may not do this here, at {own}. If they are the same, the proxy in between has to "
            "be named in DEERFLOW_TRUSTED_PROXIES and to send X-Forwarded-Proto and X-Forwarded-Host"
        )
    if asked.headers.get("Sec-Fetch-Site", "none") not in _OWN:
        raise Forbidden("A page of another site may not do this here")


def is_own_page(asked: Request) -> bool:
    """Whether the browser that has sent a request says that a page of this server made it."""
    is_from_here = asked.headers.get("Origin", "").lower() == _origin_of(asked).lower()
    return is_from_here or asked.headers.get("Sec-Fetch-Site") == "same-origin"


def require_own_change(asked: Request) -> None:
    """The same for what can change something, when a browser may have added the credentials by itself.

    It adds neither a key nor a bearer token, and lets no page of another site add them. Of the origins that the
    settings name, pages may do what our own may.
    """
    if (
        not _has_token(asked)
        and sessions.may_change(asked)
        and not origins.current().trusts(asked.headers.get("Origin", ""))
    ):
        require_own_origin(asked)


def require_own_socket(asked: Request, caller: Principal) -> None:
    """The same for a WebSocket: browsers open it for every page, with the cookie, and say only whose page it is.

    So a cookie without an origin opens none.
    """
    if _has_token(asked):
        return
    origin = asked.headers.get("Origin")
    if origin is None and caller.proof is Proof.SESSION:
        raise Forbidden("A WebSocket with a cookie needs the header Origin; send an API key in the header x-api-key")
    if not origins.current().trusts(origin or ""):
        require_own_origin(asked)


def _origin_of(asked: Request) -> str:
    return f"{asked.scheme}://{asked.host}"


def _has_token(asked: Request) -> bool:
    scheme = asked.headers.get("Authorization", "").partition(" ")[0]
    return "X-Api-Key" in asked.headers or scheme.lower() == "bearer"


def is_of_a_browser(asked: Request) -> bool:
    """Whether a browser may have sent this."""
    return any(name in asked.headers for name in ("Origin", "Sec-Fetch-Site", "Cookie"))
