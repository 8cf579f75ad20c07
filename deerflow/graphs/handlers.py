"""The project's ``langgraph_sdk.Auth``: who is calling, and what they may do, as its handlers say.

A handler that says no raises HandlerRefused here; one that is broken raises HandlerFailed, and nobody is let in.
"""

import asyncio
import dataclasses
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from langgraph_sdk import Auth
from langgraph_sdk.auth.types import AuthContext

from deerflow.domain.ids import parse_id
from deerflow.errors import ConfigError, HandlerFailed, HandlerRefused
from deerflow.graphs.caller import Caller
from deerflow.graphs.jsonable import to_plain
from deerflow.graphs.modules import load_target
from deerflow.project import Project

log = logging.getLogger(__name__)

_IDS = frozenset({"thread_id", "run_id", "assistant_id", "cron_id", "checkpoint_id"})
_LONGEST_IDENTITY = 255
_UNAUTHORIZED, _FORBIDDEN = 401, 403


@dataclass(frozen=True)
class Asked:
    """A request, as ``authenticate(request)`` finds it: the part of an ASGI request that says who is calling."""

    method: str
    path: str
    headers: Mapping[str, str]
    path_params: dict[str, str]
    query_params: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """What an authorization handler lets through: the value as it has left it, and its filter, if it gave one."""

    value: dict[str, Any]
    filter: dict[str, Any] | None


class Handlers:
    """The handlers of one project."""

    def __init__(self, auth: Any) -> None:
        if not isinstance(auth, Auth):
            raise ConfigError(f"it is a {type(auth).__name__}, not a langgraph_sdk.Auth")
        authenticate = auth._authenticate_handler
        if authenticate is None:
            raise ConfigError("its Auth has no @auth.authenticate, so nobody could come in")
        self._auth, self._authenticate = auth, authenticate
        self.sees = _parameters(authenticate)
        """What ``authenticate`` looks at."""

    @classmethod
    def load(cls, project: Project) -> "Handlers | None":
        """Import the handlers, after the graphs (whose import path they share); None when the project names none.

        ConfigError says in one sentence what is wrong with them.
        """
        if project.auth is None:
            return None
        try:
            return cls(load_target(project, project.auth.target, kind="auth"))
        except Exception as error:  # user code may raise anything at all while it is imported
            reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"langgraph.json's auth ({project.auth.target}): {reason}") from error

    @property
    def on(self) -> list[tuple[str, str]]:
        """The resources and actions that have a handler; ``*`` stands for any."""
        return [*self._auth._handlers, *([("*", "*")] if self._auth._global_handlers else [])]

    async def authenticate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The user that the project's handler names, as plain JSON."""
        facts = _facts(request)
        try:
            given = await _call(self._authenticate, {name: facts[name] for name in self.sees})
        except AssertionError as error:
            raise HandlerRefused(str(error) or "Unauthorized", status=_UNAUTHORIZED) from error
        except Exception as error:  # noqa: BLE001 - user code
            _refuse(error, lambda status: status in (_UNAUTHORIZED, _FORBIDDEN))
        return _user(given)

    async def authorize(self, user: dict[str, Any], resource: str, action: str, value: dict[str, Any]) -> Verdict:
        """Ask the most specific handler; who has none is let through."""
        handler = self._handler(resource, action)
        if handler is None:
            return Verdict(value, None)
        caller, value = Caller(user), _as_typed(value)
        context = AuthContext(caller.permissions, caller, resource, action)  # type: ignore[arg-type]
        try:
            answer = await handler(ctx=context, value=value)
        except AssertionError as error:
            raise HandlerRefused(str(error) or "Forbidden", status=_FORBIDDEN) from error
        except Exception as error:  # noqa: BLE001 - user code
            _refuse(error, lambda status: 400 <= status < 500)  # noqa: PLR2004
        if answer is False:
            raise HandlerRefused("Forbidden", status=_FORBIDDEN)
        if answer is not None and answer is not True and not isinstance(answer, dict):
            raise HandlerFailed(f"A handler answered {answer!r}; it must be None, True, False or a filter")
        return Verdict(to_plain(value), answer if isinstance(answer, dict) else None)

    def _handler(self, resource: str, action: str) -> Callable[..., Any] | None:
        for place in ((resource, action), (resource, "*"), ("*", action)):
            if found := self._auth._handlers.get(place):
                return found[-1]
        return self._auth._global_handlers[-1] if self._auth._global_handlers else None


def _parameters(handler: Callable[..., Any]) -> list[str]:
    """What a handler wants to know, by the names of its parameters; ConfigError for what is not to be had."""
    wanted: list[str] = []
    for name, parameter in inspect.signature(handler).parameters.items():
        if name in _KNOWN:
            wanted.append(name)
        elif parameter.default is parameter.empty and parameter.kind not in _REST:
            raise ConfigError(f"authenticate asks for '{name}', which it cannot have; there are: {', '.join(_KNOWN)}")
    return wanted


_KNOWN = ("request", "method", "path", "path_params", "query_params", "headers", "authorization")
_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _facts(request: Mapping[str, Any]) -> dict[str, Any]:
    """All that ``authenticate`` can ask for. Headers are bytes by their lower-case names, as in ASGI."""
    headers: dict[str, str] = request["headers"]
    same = {name: request[name] for name in ("method", "path", "path_params", "query_params")}
    return {
        **same,
        "headers": {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()},
        "authorization": headers.get("authorization"),
        "request": Asked(headers=_AnyCase(headers), **same),
    }


class _AnyCase(dict[str, str]):
    """Headers by their names in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """A header, or the default."""
        return super().get(name.lower(), default)


async def _call(handler: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a handler, a synchronous one in a thread."""
    if inspect.iscoroutinefunction(handler):
        return await handler(**arguments)
    given = await asyncio.to_thread(handler, **arguments)
    return await given if inspect.isawaitable(given) else given


def _refuse(error: Exception, is_answer: Callable[[int], bool]) -> NoReturn:
    """Raise HandlerRefused for an HTTPException (whichever framework's) that may be answered, else HandlerFailed."""
    status = getattr(error, "status_code", None)
    if type(error).__name__ == "HTTPException" and isinstance(status, int) and is_answer(status):
        headers = {str(name): str(value) for name, value in (getattr(error, "headers", None) or {}).items()}
        raise HandlerRefused(str(getattr(error, "detail", error)), status=status, headers=headers) from error
    raise HandlerFailed(f"A handler raised {type(error).__name__}") from error


def _user(given: Any) -> dict[str, Any]:
    """A user in every form that a handler may give one."""
    permissions = None
    if isinstance(given, tuple | list) and len(given) == 2:  # noqa: PLR2004
        permissions, given = given
    found = {"identity": given} if isinstance(given, str) else to_plain(_as_dict(given))
    identity = found.get("identity")
    if not isinstance(identity, str) or not 0 < len(identity) <= _LONGEST_IDENTITY or not identity.isprintable():
        raise HandlerFailed(f"authenticate named nobody: an identity is 1 to {_LONGEST_IDENTITY} printable characters")
    if found.get("is_authenticated", True) is not True:
        raise HandlerRefused("Unauthorized", status=_UNAUTHORIZED)
    told = permissions if permissions is not None else found.get("permissions")
    usual = {"display_name": identity, "is_authenticated": True}
    return {**usual, **found, "permissions": [str(each) for each in to_plain(told) or []]}


def _as_dict(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if hasattr(given, "model_dump"):
        return dict(given.model_dump())
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return dataclasses.asdict(given)
    extras = {name: value for name, value in getattr(given, "__dict__", {}).items() if not name.startswith("_")}
    usual = ("identity", "display_name", "is_authenticated", "permissions")
    return extras | {name: getattr(given, name) for name in usual if hasattr(given, name)}


def _as_typed(value: dict[str, Any]) -> dict[str, Any]:
    """The value with ids as UUIDs and a namespace as a tuple, which is what the SDK's types promise."""
    return {name: _typed(name, each) for name, each in value.items()}


def _typed(name: str, value: Any) -> Any:
    if name == "namespace" and isinstance(value, list):
        return tuple(value)
    return _id(value) if name in _IDS else value


def _id(value: Any) -> UUID | Any:
    return (parse_id(value) if isinstance(value, str) else None) or value
