"""What an authorization handler is shown of a request, and the request as the handler leaves it.

The value is the body with the path's ids; of a run what is no fact of its row lies under ``kwargs``, as in
``langgraph_sdk.auth.types.RunsCreate``, and of a cron what its runs are created with under ``payload``. Where a body
has metadata the value has them too, if only ``{}``: handlers write their own there.
"""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from deerflow.domain.claims import believed
from deerflow.domain.text import fit
from deerflow.errors import HandlerFailed, Invalid

Place = tuple[str, str]
"""A resource and an action, in the SDK's words."""

_OF_A_RUN = frozenset({"assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds"})
_OF_A_CRON = frozenset({"schedule", "timezone", "end_time", "enabled", "on_run_completed", "metadata"})
_WITH_METADATA = frozenset({"create", "update", "search", "create_run"})


def has_handler(on: Collection[Place], resource: str, action: str) -> bool:
    """Whether somebody is to be asked about this; *on* are the places with handlers, ``*`` stands for any."""
    return any((r, a) in on for r in (resource, "*") for a in (action, "*"))


def value_of(action: str, ids: Mapping[str, str], body: dict[str, Any], *, resource: str = "") -> dict[str, Any]:
    """What the handler is shown. The client's claims of an owner are left out of what would be stored."""
    value = dict(body)
    if action in _WITH_METADATA:
        given = value.get("metadata") or {}
        if not isinstance(given, dict):
            raise Invalid("metadata: must be an object")
        value["metadata"] = given if action == "search" else believed(given)
    if found := _within(resource, action):
        within, facts = found
        rest = {name: each for name, each in value.items() if name not in facts}
        value = {**{name: each for name, each in value.items() if name in facts}, within: rest}
    return {**value, **ids}


class Query(Protocol):
    """A query string, whatever read it."""

    def get(self, key: str, /) -> str | None: ...  # noqa: D102

    def getlist(self, key: str, /) -> list[str]: ...  # noqa: D102


def item_named(args: Query) -> dict[str, Any]:
    """The item that a query names. A namespace comes as its labels joined by full stops, or as one each."""
    given = args.getlist("namespace")
    labels = given[0].split(".") if len(given) == 1 else given
    refresh = {"refresh_ttl": args.get("refresh_ttl")} if args.get("refresh_ttl") else {}
    named = {"namespace": labels or [""], "key": args.get("key") or "", **refresh}
    return {name: fit(each) for name, each in named.items()}


_NAMESPACES = {"search": "namespace_prefix", "list_namespaces": "prefix"}
"""What the API calls that which is ``namespace`` to every handler of the store."""


def item_value(action: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a handler of the store is shown: the body, whose namespace it may write anew to keep callers apart."""
    called = _NAMESPACES.get(action, "namespace")
    given = body.get(called)
    return {
        **{name: each for name, each in body.items() if name != called},
        "namespace": [] if given is None else given,
    }


def item_body(action: str, value: dict[str, Any]) -> dict[str, Any]:
    """The body that the handler's value stands for."""
    given = {name: each for name, each in value.items() if name != "namespace"}
    return {**given, _NAMESPACES.get(action, "namespace"): value.get("namespace")}


def body_of(action: str, ids: Mapping[str, str], value: dict[str, Any], *, resource: str = "") -> dict[str, Any]:
    """The body that the handler's value stands for; the path's ids stay what they were."""
    body = {name: each for name, each in value.items() if name not in ids}
    if not isinstance(body.get("metadata", {}), dict | None):
        raise HandlerFailed("A handler left metadata that are no object")
    if found := _within(resource, action):
        rest = body.pop(found[0], None)
        body |= rest if isinstance(rest, dict) else {}
    return body


def _within(resource: str, action: str) -> tuple[str, frozenset[str]] | None:
    """Under which name the rest of a body lies, and what does not; None where nothing does."""
    if action == "create_run":
        return "kwargs", _OF_A_RUN
    return ("payload", _OF_A_CRON) if resource == "crons" and action in {"create", "update"} else None
