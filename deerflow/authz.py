"""Authorization: every route declares what it needs, apart from authentication (``identity``).

A permission of LangGraph's things stands for a resource and an action as well, in the words of ``langgraph_sdk.Auth``.
For a caller whom the project's own handlers have named, those are asked about it here, so no route can forget them;
the request goes on as they leave it (``granted``).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from flask import Request, request

from deerflow.auth.values import Place, body_of, item_body, item_named, item_value, value_of
from deerflow.domain.bodies import parsed
from deerflow.domain.ids import new_id
from deerflow.domain.principal import ACCOUNT, ADMINISTRATION, KEYS, LOCAL, PERMISSIONS, THINGS, Proof
from deerflow.errors import Conflict, Forbidden, Invalid
from deerflow.identity import handlers, opened, principal
from deerflow.storage import runs

P = ParamSpec("P")
R = TypeVar("R")

PUBLIC = "public"
"""What a route declares that anybody may call."""

_PLACES: dict[str, Place] = {
    "assistants:read": ("assistants", "read"),
    "assistants:write": ("assistants", "update"),
    "crons:read": ("crons", "read"),
    "crons:write": ("crons", "update"),
    "store:read": ("store", "get"),
    "store:write": ("store", "put"),
    "threads:read": ("threads", "read"),
    "threads:write": ("threads", "update"),
    "threads:delete": ("threads", "delete"),
    "runs:create": ("threads", "create_run"),
    "runs:read": ("threads", "read"),
    "runs:cancel": ("threads", "update"),
}
"""What a permission is about when the route says nothing more exact. A run is its thread's."""

PAGES = "console"
"""The blueprint of the pages, whose bodies are forms."""

_GRANTED = "deerflow.granted"


def requires(
    permission: str, *, on: Place | None = None, shown: Callable[[Any], dict[str, Any]] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers with this permission into a view; *on*: what it is about, if not what the permission says.

    *shown*: what the project's handlers are shown for a request's body, and leave; without it that is the body. For
    a page's form, which is none, it is given ``{}``.
    """
    assert permission in PERMISSIONS, permission
    place = on or _PLACES.get(permission)
    assert place or permission not in THINGS, f"{permission} needs a resource and an action"

    def shown_body() -> dict[str, Any]:
        assert shown is not None
        return shown({} if request.blueprint == PAGES else parsed(request.get_data()))

    body = None if shown is None else shown_body

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            require(permission, on=place, body=body)
            return view(*args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]
        checked.place = place  # type: ignore[attr-defined]
        return checked

    return decorate


def require(permission: str, *, on: Place | None = None, body: Callable[[], dict[str, Any]] | None = None) -> None:
    """Raise Forbidden, or what a handler of the project answers, unless the caller may do this.

    *body*: what the handlers are shown for the request's body.
    Conflict where nobody can have the permission.
    """
    caller = principal()
    if not caller.may(permission):
        if caller.user_id == LOCAL and permission in KEYS | ACCOUNT | ADMINISTRATION:
            raise Conflict("Accounts are switched off (DEERFLOW_AUTH=none)")
        raise Forbidden(f"This needs the permission {permission}")
    if caller.proof is Proof.HANDLER:
        place = on or _PLACES[permission]
        request.environ[_GRANTED] = _ask(request, place, body)


def granted(asked: Request) -> Any:
    """The body of this request, an object or a list of objects, as the project's handlers leave it.

    None where there are no handlers to ask.
    """
    return asked.environ.get(_GRANTED)


def stamped(asked: Request) -> dict[str, Any]:
    """The metadata that the project's handlers want on what a page's form makes."""
    left = granted(asked)
    found = left.get("metadata") if isinstance(left, dict) else None
    return found if isinstance(found, dict) else {}


def ask_anew(asked: Request) -> None:
    """Let what is said next on this request's connection be asked about by itself, not as what was said before."""
    asked.environ.pop(_GRANTED, None)


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Declare a view that anybody may call."""
    view.permission = PUBLIC  # type: ignore[attr-defined]
    return view


def _ask(
    asked: Request, place: Place, shown: Callable[[], dict[str, Any]] | None
) -> dict[str, Any] | list[dict[str, Any]]:
    """Ask about all that this request wants; the body that it is to have. Asked again, it goes on as it was left."""
    if place[0] == "store":
        return _ask_of_item(asked, place)
    ids = _ids(asked)
    (resource, action), left_before = place, granted(asked)
    body = left_before if left_before is not None else _body(asked) if shown is None else shown()
    values = [value_of(action, ids, each, resource=resource) for each in (body if isinstance(body, list) else [body])]
    left = [body_of(action, ids, value, resource=resource) for value in handlers.authorize(principal(), place, values)]
    return left if isinstance(body, list) else left[0]


def _ids(asked: Request) -> dict[str, str]:
    """The path's ids. A run is its thread's, so where a page names the run alone its thread is named as well.

    Of a run that is not there it is a thread that is not there: the answer does not tell which runs there are.
    """
    ids = {name: str(value) for name, value in (asked.view_args or {}).items()}
    if asked.blueprint == PAGES and "run_id" in ids and "thread_id" not in ids:
        with opened.backend().db.read() as tx:
            found = runs.thread_of(tx, UUID(ids["run_id"]))
        ids = {"thread_id": str(found or new_id()), **ids}
    return ids


def _ask_of_item(asked: Request, place: Place) -> dict[str, Any]:
    """The same of the store, whose items have no metadata: a filter changes nothing, a namespace does."""
    body = item_named(asked.args) if asked.method == "GET" else _body(asked)
    if not isinstance(body, dict):
        raise Invalid("The request body must be a JSON object")
    (left,) = handlers.authorize(principal(), place, [item_value(place[1], body)])
    return item_body(place[1], left)


def _body(asked: Request) -> dict[str, Any] | list[dict[str, Any]]:
    """The body of a request, an object or several; with what its query says of stopping a run.

    A page's form is no JSON: of it handlers see the path's ids alone.
    """
    has_json = asked.method not in {"GET", "HEAD"} and asked.blueprint != PAGES
    body = parsed(asked.get_data()) if has_json else {}
    if isinstance(body, list) and all(isinstance(each, dict) for each in body):
        return body
    if body is not None and not isinstance(body, dict):
        raise Invalid("The request body must be a JSON object")
    return {**(body or {}), **({"action": asked.args["action"]} if "action" in asked.args else {})}
