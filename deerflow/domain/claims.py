"""Names that the server alone fills in: a client that uses one is not believed (scenario 43)."""

from typing import Any

_AUTH = "langgraph_auth_"
_OWNING = frozenset({"owner", "user_id", "created_by", "langgraph_request_id"})
_OF_THE_RUN = _OWNING | {"run_id", "thread_id", "graph_id", "assistant_id"}

ANONYMOUS: dict[str, Any] = {
    "langgraph_auth_user": None,
    "langgraph_auth_user_id": "",
    "langgraph_auth_permissions": [],
}
"""What a graph finds in its ``configurable`` about a caller of whom nothing is known."""


def told_of(user: dict[str, Any]) -> dict[str, Any]:
    """The same about a caller whom the server knows."""
    return {
        "langgraph_auth_user": user,
        "langgraph_auth_user_id": user["identity"],
        "langgraph_auth_permissions": user.get("permissions") or [],
    }


def believed(metadata: dict[str, Any]) -> dict[str, Any]:
    """A client's metadata without what claims an owner. ``graph_id`` stays: it says which graph edits a thread."""
    return {name: value for name, value in metadata.items() if name not in _OWNING and not name.startswith(_AUTH)}


def configured(configurable: dict[str, Any]) -> dict[str, Any]:
    """A client's ``configurable`` without what the server or LangGraph's own machinery puts there.

    What claims an owner goes too: LangGraph writes ``configurable`` into the metadata of every checkpoint.
    """
    return {
        name: value
        for name, value in configurable.items()
        if name not in _OF_THE_RUN and not name.startswith((_AUTH, "__pregel"))
    }
