"""Callers whom the project's own handlers name: langgraph.json's ``auth``, asked of a state worker.

Who is calling is remembered for some seconds, by all of the request that the handler can look at. A state worker that
does not answer lets nobody in. There is no way past the handlers: ``x-auth-scheme`` means nothing here.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from flask import Flask, Request, current_app, g

from deerflow.auth.remembered import Remembered
from deerflow.auth.values import Place, has_handler
from deerflow.backend import Backend
from deerflow.domain.filters import contained
from deerflow.domain.principal import THINGS, Principal, Proof
from deerflow.errors import HandlerFailed, HandlerRefused, Unavailable
from deerflow.identity import opened
from deerflow.identity.own_page import require_own_change
from deerflow.project import Auth
from deerflow.runtime.ask import ask
from deerflow.settings import Settings

log = logging.getLogger(__name__)

_OWNER = "auth:"
"""Before a handler's identity, so that it is nobody else's name: no account's, not ``local``, not ``system``."""
_MOST = 10_000
_REFUSED_SECONDS = 1.0
_AUTHORIZATION = frozenset({"authorization"})
_OF_TRANSPORT = frozenset(
    {"accept", "accept-encoding", "baggage", "cache-control", "connection", "content-length", "content-type",
     "idempotency-key", "if-none-match", "keep-alive", "last-event-id", "langsmith-trace", "prefer", "traceparent",
     "tracestate", "transfer-encoding", "user-agent", "x-request-id"}
)  # fmt: skip
"""Headers that say how something is asked and not by whom; they tell no two callers apart."""


@dataclass(frozen=True)
class _Named:
    """Whom ``authenticate`` named, and where the project has handlers that want to be asked further."""

    user: dict[str, Any]
    on: frozenset[Place]


class Callers:
    """What this process remembers of who is calling."""

    def __init__(self, auth: Auth, *, seconds: float) -> None:
        self._auth = auth
        self._seconds = seconds if auth.ttl_seconds is None else auth.ttl_seconds
        self._remembered: Remembered[_Named | HandlerRefused] = Remembered(auth.max_size or _MOST)
        self._sees: frozenset[str] | None = None
        """What the handler looks at, as it was told with the last answer; None before the first."""

    def name(self, backend: Backend, asked: dict[str, Any]) -> _Named:
        """Who is calling; raises what the handler answers instead."""
        named = self._remembered.get(self._key(asked), lambda: self._ask(backend, asked))
        if isinstance(named, HandlerRefused):
            raise HandlerRefused(str(named), status=named.status, headers=named.headers)
        return named

    def _ask(self, backend: Backend, asked: dict[str, Any]) -> tuple[_Named | HandlerRefused, float]:
        try:
            answer = ask(backend, "authenticate", request=asked)
        except HandlerRefused as refused:
            return refused, min(self._seconds, _REFUSED_SECONDS)
        self._sees = frozenset(answer["sees"])
        return _Named(answer["user"], frozenset((r, a) for r, a in answer["on"])), self._seconds

    def _key(self, asked: dict[str, Any]) -> Hashable:
        """The same for requests between which the handler can see no difference; credentials are not kept as such."""
        sees, told = self._sees, {"headers": self._headers(asked["headers"])}
        if sees is None or not sees <= {"headers", "authorization"}:
            told = {**asked, **told}
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str | None]:
        if self._auth.cache_keys is not None:
            return {name: headers.get(name) for name in self._auth.cache_keys}
        if self._sees == _AUTHORIZATION:
            return {"authorization": headers.get("authorization")}
        return {name: value for name, value in headers.items() if name not in _OF_TRANSPORT}


def register(app: Flask, settings: Settings, auth: Auth) -> None:
    """Give an app its memory of callers."""
    app.extensions["deerflow.callers"] = Callers(auth, seconds=settings.auth_cache_seconds)


def identify(request: Request) -> Principal:
    """Whom the project's handler names for this request."""
    require_own_change(request)
    callers: Callers = current_app.extensions["deerflow.callers"]
    named = callers.name(opened.backend(), _asked(request))
    g.handlers_on = named.on
    return Principal(_OWNER + named.user["identity"], THINGS, Proof.HANDLER, user=named.user)


def still_holds(request: Request, caller: Principal) -> Callable[[], bool]:
    """A question for an answer that stays open: whether the project's handler still names this caller.

    It is asked aside, so that no stream stands still for a state worker: the answer is that of the time before.
    """
    callers: Callers = current_app.extensions["deerflow.callers"]
    backend = opened.backend()
    asked, asking, verdicts = _asked(request), threading.Lock(), [True]

    def ask_aside() -> None:
        try:
            verdicts[0] = _OWNER + callers.name(backend, asked).user["identity"] == caller.user_id
        except HandlerRefused as refused:
            verdicts[0] = refused.status not in {401, 403}
        except (Unavailable, HandlerFailed):
            log.debug("An open answer goes on unasked: the project's handler cannot say")
        except Exception:  # there is nobody but the log to tell
            log.exception("Asking the project's handler about an open answer failed")
        finally:
            asking.release()

    def holds() -> bool:
        if asking.acquire(blocking=False):
            threading.Thread(target=ask_aside, name="still-holds", daemon=True).start()
        return verdicts[0]

    return holds


def name_of(owner: str) -> str:
    """What an owner is known by to people: of whom a handler has named that name."""
    return owner.removeprefix(_OWNER)


def authorize(caller: Principal, place: Place, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the project's handlers leave of *values*; from here on the caller sees what their filter matches.

    Of several values, which only ever create things, filters say nothing.
    """
    resource, action = place
    if not has_handler(g.handlers_on, resource, action) or not values:
        return values
    about = {"user": caller.user, "resource": resource, "action": action}
    verdicts = ask(opened.backend(), "authorize", **about, values=values)
    told = verdicts[0]["filter"] if len(verdicts) == 1 else None
    others = {name: wanted for name, wanted in caller.filters.items() if name != resource}
    g.principal = replace(caller, filters=others if told is None else {**others, resource: contained(told)})
    return [verdict["value"] for verdict in verdicts]


def _asked(request: Request) -> dict[str, Any]:
    """A request as handlers are told of it."""
    return {
        "method": request.method,
        "path": request.path,
        "path_params": {name: str(value) for name, value in (request.view_args or {}).items()},
        "query_params": {name: values[-1] for name, values in request.args.lists()},
        "headers": {name.lower(): value for name, value in request.headers.items()},
    }
