"""Identity: turns a request into a Principal. The one place that does; storage reads take what it has named.

- ``local``     mode ``none``
- ``keys``      API keys
- ``sessions``  the cookie of who is signed in, and its CSRF token
- ``set_up``    nobody gets in before there is an administrator
- ``accounts``  what people do with their own account; ``guesses`` counts wrong passwords, ``own_page`` keeps other
  sites' pages out
- ``proxies``   whose forwarded headers are believed; goes first
- ``standing``  whether a caller whose answer is still open may go on reading
"""

from collections.abc import Callable

from flask import Flask, Request, current_app, g

from deerflow.auth.secret import secrets_in_force
from deerflow.domain.principal import Principal
from deerflow.errors import Unauthenticated
from deerflow.identity import keys, local, proxies, sessions, set_up
from deerflow.identity.standing import Standing
from deerflow.settings import Settings

_MODES: dict[str, Callable[[Request], Principal]] = {}


def register(app: Flask, settings: Settings) -> None:
    """Make an app ask who is calling, in the mode that the settings name."""
    app.wsgi_app = proxies.Believing(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    app.extensions["deerflow.identify"] = _MODES[settings.auth]
    app.config.update(DEERFLOW_AUTH=settings.auth, DEERFLOW_REGISTRATION=settings.registration)
    app.extensions["deerflow.standing"] = Standing()
    keys.register(app, settings)
    if settings.auth != "none":
        sessions.register(app, secrets_in_force(settings), seconds=settings.session_seconds)


def identify(request: Request) -> None:
    """Name the caller of this request; Unauthenticated or Forbidden when that cannot be."""
    g.principal = current_app.extensions["deerflow.identify"](request)


def principal() -> Principal:
    """Who is calling."""
    caller: Principal = g.principal
    return caller


def still_holds() -> Callable[[], bool]:
    """A question for later, also outside of the request: whether this caller may go on reading an open answer."""
    standing: Standing = current_app.extensions["deerflow.standing"]
    return standing.question(current_app.extensions["deerflow"], principal())


def _account(request: Request) -> Principal:
    """Mode ``accounts``: an API key where there is one, which then decides; else a session."""
    set_up.require_finished()
    found = keys.find(request) or sessions.find(request)
    if found is None:
        raise Unauthenticated("Sign in, or send an API key in the header x-api-key")
    return found


_MODES |= {"none": local.identify, "accounts": _account}
