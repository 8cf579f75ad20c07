"""API keys: ``x-api-key: df_…``, as LangGraph's SDKs send it, or ``Authorization: Bearer df_…``."""

import logging

from flask import Request, current_app

from deerflow.auth.keys import digest, is_ours
from deerflow.backend import Backend
from deerflow.domain.accounts import principal_of
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import Unauthenticated
from deerflow.storage import keys

log = logging.getLogger(__name__)


def find(request: Request) -> Principal | None:
    """The caller that the request's key names; None when it has none, Unauthenticated when it opens nothing."""
    text = sent(request)
    if text is None:
        return None
    if not is_ours(text):
        raise Unauthenticated("This is not an API key of this server; its keys begin with df_")
    backend: Backend = current_app.extensions["deerflow"]
    with backend.db.read() as tx:
        found = keys.find(tx, digest(text))
    if found is None:
        raise Unauthenticated("This API key is not known, or it is revoked or expired")
    key, user = found
    return principal_of(user, proof=Proof.KEY, credential=key.key_id, scope=key.scope)


def sent(request: Request) -> str | None:
    """The key that a request carries, whatever it is worth."""
    named = request.headers.get("X-Api-Key")
    if named is not None:
        return named.strip()
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None
