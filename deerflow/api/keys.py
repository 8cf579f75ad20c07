"""A user's own API keys on the wire."""

from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.body import page_wanted
from deerflow.api.wire.keys import KeyCreate, KeyMade, KeyShown, present_key
from deerflow.api.wire.queries import Page
from deerflow.authz import requires
from deerflow.identity import principal
from deerflow.runtime.keys import WantedKey, make_own_key, revoke_key
from deerflow.storage import keys


def blueprint() -> Blueprint:
    """The routes of API keys."""
    bp = Blueprint("keys", __name__, url_prefix="/keys")
    bp.get("")(list_keys)
    bp.post("")(create_key)
    bp.delete("/<id(key):key_id>")(delete_key)
    return bp


@describes(answer=list[KeyShown], query=Page)
@requires("keys:read")
def list_keys() -> Response:
    """The caller's API keys, newest first, those that are revoked or expired as well."""
    limit, offset = page_wanted(request, default=100)
    with backend().db.read() as tx:
        found = keys.of_user(tx, _user_id(), limit=limit + 1, offset=offset)
    return page_of(found, present_key, limit=limit, offset=offset)


@describes(body=KeyCreate, answer=KeyMade, status=201, errors={409: "There are too many good keys already."})
@requires("keys:write")
def create_key() -> Response:
    """Make an API key; ``key`` in the answer is told this once. A key of scope admin makes none that outlives it."""
    asked, caller = KeyCreate.read(request), principal()
    wanted = WantedKey(asked.name, asked.scope, asked.expiry())
    made, key = make_own_key(backend(), caller, wanted, address=request.remote_addr)
    return json({**present_key(made), "key": key}, 201)


@describes(status=204)
@requires("keys:write")
def delete_key(key_id: UUID) -> Response:
    """Revoke an API key: it opens nothing any more, on any machine; it stays in the list."""
    with backend().db.begin() as tx:
        revoke_key(tx, _user_id(), key_id, actor=principal().user_id, address=request.remote_addr)
    return Response(status=204)


def _user_id() -> UUID:
    """The caller's account; only accounts have the permissions that lead here."""
    return UUID(principal().user_id)
