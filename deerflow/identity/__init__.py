"""Identity: turns a request into a Principal. The one place that does; storage reads take what it has named.

- ``local``     mode ``none``
- ``keys``      API keys
- ``header``    whom a trusted proxy names
- ``handlers``  whom the project's own handlers name
- ``sessions``  the cookie of who is signed in, and its CSRF token
- ``set_up``    nobody gets in before there is an administrator
- ``accounts``  what people do with their own account; ``guesses`` counts wrong passwords, ``own_page`` keeps other
  sites' pages out
- ``origins``   which other origins' pages may call (CORS); ``loopback`` knows this machine's own
- ``proxies``   whose forwarded headers are believed; goes first
- ``standing``  whether a caller whose answer is still open may go on reading
- ``opened``    the Backend and the secrets of the app that answers
"""

from collections.abc import Callable
from contextlib import suppress

from flask import Flask, Request, current_app, g, request

from deerflow.auth.keys import is_ours
from deerflow.auth.secret import require_secret, secrets_in_force
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import ConfigError, DeerflowError, Unauthenticated
from deerflow.identity import handlers, header, keys, local, opened, origins, proxies, sessions, set_up
from deerflow.identity.guesses import UnderWay
from deerflow.identity.loopback import is_loopback
from deerflow.identity.standing import Standing
from deerflow.project import Project
from deerflow.settings import ANY_PROXY, Settings, proxies_in

_MODES: dict[str, Callable[[Request], Principal]] = {}


def register(app: Flask, settings: Settings) -> None:
    """Make an app ask who is calling, in the mode that the settings name."""
    app.wsgi_app = proxies.Believing(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    project: Project = app.extensions["deerflow"].project
    require_safe(settings, project)
    app.extensions["deerflow.identify"] = (_WITH_HANDLERS if project.auth else _MODES)[settings.auth]
    app.config.update(DEERFLOW_AUTH=settings.auth, DEERFLOW_REGISTRATION=settings.registration)
    app.extensions["deerflow.standing"] = Standing()
    app.extensions["deerflow.guesses"] = UnderWay()
    origins.register(app, settings, project)
    keys.register(app, settings)
    if settings.auth != "none":
        sessions.register(app, secrets_in_force(settings), seconds=settings.session_seconds)
    header.register(app, settings.trusted_header)
    if project.auth:
        handlers.register(app, settings, project.auth)


def require_safe(settings: Settings, project: Project) -> None:
    """Raise ConfigError for a mode in which somebody could pass for somebody else."""
    if settings.auth == "none" and not project.auth and not is_loopback(settings.host):
        raise ConfigError(
            f"Without authentication the server listens on this machine only, not on {settings.host}: leave out --host."
        )
    if settings.auth != "none":
        require_secret(settings)
    if settings.auth != "trusted-header":
        return
    if project.auth:
        raise ConfigError(
            "langgraph.json's auth and DEERFLOW_AUTH=trusted-header both say who is calling; leave one of them out"
        )
    trusted = proxies_in(settings.trusted_proxies)
    if not trusted or ANY_PROXY in trusted:
        raise ConfigError(
            f"With DEERFLOW_AUTH=trusted-header everybody is whom the header {settings.trusted_header} names: set "
            "DEERFLOW_TRUSTED_PROXIES to the addresses of the proxy that writes it (not *)"
        )


def identify(request: Request) -> None:
    """Name the caller of this request; Unauthenticated or Forbidden when that cannot be."""
    g.principal = current_app.extensions["deerflow.identify"](request)


def recognize(request: Request) -> None:
    """Name who asks for a page that is not there, if that is plain; the project's handlers are not asked about it."""
    has_sessions = current_app.config["DEERFLOW_AUTH"] == "accounts"
    find = sessions.find if has_sessions else current_app.extensions["deerflow.identify"]
    if find is handlers.identify:
        return
    with suppress(DeerflowError):
        if (caller := find(request)) is not None:
            g.principal = caller


def principal() -> Principal:
    """Who is calling."""
    caller: Principal = g.principal
    return caller


def still_holds() -> Callable[[], bool]:
    """A question for later, also outside of the request: whether this caller may go on reading an open answer."""
    caller, standing = principal(), current_app.extensions["deerflow.standing"]
    if caller.proof is Proof.HANDLER:
        return handlers.still_holds(request, caller)
    question: Callable[[], bool] = standing.question(opened.backend(), caller)
    return question


def _account(request: Request) -> Principal:
    """Mode ``accounts``: an API key where there is one, which then decides; else a session."""
    set_up.require_finished()
    found = keys.find(request) or sessions.find(request)
    if found is None:
        raise Unauthenticated("Sign in, or send an API key in the header x-api-key")
    return found


def _account_or_handler(request: Request) -> Principal:
    """Mode ``accounts`` with handlers of the project: a key or session of ours, else whom a handler names."""
    text = keys.sent(request)
    find = sessions.find if text is None else keys.find if is_ours(text) else None
    found = find and find(request)
    if found is None:
        return handlers.identify(request)
    set_up.require_finished()
    return found


_MODES |= {"none": local.identify, "accounts": _account, "trusted-header": header.identify}
_WITH_HANDLERS: dict[str, Callable[[Request], Principal]] = {
    "none": handlers.identify,
    "accounts": _account_or_handler,
}
