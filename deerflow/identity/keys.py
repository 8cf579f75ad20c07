"""API keys: ``x-api-key: df_…``, as LangGraph's SDKs send it, or ``Authorization: Bearer df_…``.

Every request looks the key up, so that one which is revoked opens nothing from the commit on, on any machine.
"""

from functools import partial

from flask import Flask, Request, current_app

from deerflow.auth.addresses import household
from deerflow.auth.keys import digest, is_ours
from deerflow.auth.limits import Limit
from deerflow.backend import Backend
from deerflow.domain.accounts import ApiKey, principal_of
from deerflow.domain.principal import Principal, Proof
from deerflow.errors import Unauthenticated, Unavailable
from deerflow.identity import opened
from deerflow.settings import Settings
from deerflow.storage import keys

_GUESSES = Limit("keys-guessed", 100, 300, "Too many unknown API keys came from this address; try again later")


def register(app: Flask, settings: Settings) -> None:
    """Tell an app how much one key may ask for."""
    most = settings.key_requests_per_minute
    told = f"This API key may make {most} requests in a minute (DEERFLOW_KEY_REQUESTS_PER_MINUTE)"
    app.extensions["deerflow.key_limit"] = Limit("key-requests", most, 60, told) if most else None


def find(request: Request) -> Principal | None:
    """The caller that the request's key names; None when it has none, Unauthenticated when it opens nothing."""
    text = sent(request)
    if text is None:
        return None
    if not is_ours(text):
        raise Unauthenticated("This is not an API key of this server; its keys begin with df_")
    backend = opened.backend()
    looked_for = digest(text)
    with backend.db.read() as tx:
        found = keys.find(tx, looked_for)
        was_good = found is None and keys.is_known(tx, looked_for)
    if was_good:
        raise Unauthenticated("This API key is revoked or expired")
    if found is None:
        _count_guess(backend, request)
        raise Unauthenticated("This API key is not known here")
    key, user = found
    _count_use(backend, key)
    return principal_of(user, proof=Proof.KEY, credential=key.key_id, scope=key.scope)


def _count_guess(backend: Backend, request: Request) -> None:
    """Count a key that nobody ever had; RateLimited after many of one address, whose good keys go on to be good."""
    try:
        backend.limits.spend(_GUESSES, household(request.remote_addr))
    except Unavailable:  # the guess fails all the same
        return


def _count_use(backend: Backend, key: ApiKey) -> None:
    """Note that a key is used; RateLimited when that is too often."""
    limit: Limit | None = current_app.extensions["deerflow.key_limit"]
    if limit is not None:
        backend.limits.spend(limit, str(key.key_id))
    backend.uses.note(key.key_id, partial(keys.note_used, key_id=key.key_id))


def sent(request: Request) -> str | None:
    """The key that a request carries, whatever it is worth."""
    named = request.headers.get("X-Api-Key")
    if named is not None:
        return named.strip()
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None
