"""The long-term store on the wire: the same items that graphs find in ``runtime.store``."""

from flask import Blueprint, Response, request

from deerflow.api.context import backend, json
from deerflow.api.describe import describes
from deerflow.api.wire.store import FoundItems, ItemName, ItemPut, ItemRead, ItemSearch, Namespaces, Stored, StoreItem
from deerflow.authz import requires
from deerflow.identity import principal
from deerflow.runtime.ask import store as ask_store

_BAD = {400: "The namespace is empty, or a graph's own; or the store cannot do it, and says why."}


def blueprint() -> Blueprint:
    """The routes of the store; made anew for each mount."""
    bp = Blueprint("store", __name__, url_prefix="/store")
    bp.put("/items")(put_item)
    bp.get("/items")(get_item)
    bp.delete("/items")(delete_item)
    bp.post("/items/search")(search_items)
    bp.post("/namespaces")(list_namespaces)
    return bp


@describes(body=ItemPut, status=204, errors=_BAD)
@requires("store:write", on=("store", "put"))
def put_item() -> Response:
    """Store an item, or another value for it; `ttl` in minutes, `index` says what of it is found by meaning."""
    ask_store(backend(), principal(), "put", ItemPut.read(request).asked())
    return Response(status=204)


@describes(
    query=ItemRead, answer=StoreItem | None, errors={**_BAD, 422: "The namespace or the key is not of its kind."}
)
@requires("store:read", on=("store", "get"))
def get_item() -> Response:
    """One item, by `namespace` (labels joined by full stops, or repeated) and `key`; `null` when there is none."""
    return json(ask_store(backend(), principal(), "get", ItemRead.of_query(request).asked()))


@describes(body=ItemName, status=204, errors=_BAD)
@requires("store:write", on=("store", "delete"))
def delete_item() -> Response:
    """Delete an item; one that is not there is deleted already."""
    ask_store(backend(), principal(), "delete", ItemName.read(request).asked())
    return Response(status=204)


@describes(body=ItemSearch, answer=FoundItems, errors=_BAD)
@requires("store:read", on=("store", "search"))
def search_items() -> Response:
    """Items below a namespace: nearest to `query` first where the project has an embedding, else last changed first."""
    return json(ask_store(backend(), principal(), "search", ItemSearch.read(request).asked()))


@describes(body=Namespaces, answer=Stored, errors=_BAD)
@requires("store:read", on=("store", "list_namespaces"))
def list_namespaces() -> Response:
    """Namespaces that have items; `*` in `prefix` or `suffix` stands for any label."""
    return json(ask_store(backend(), principal(), "list_namespaces", Namespaces.read(request).asked()))
