"""Make and revoke API keys, for the API and the command line alike: with their limit, and noted in the audit."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from deerflow.auth.keys import digest, new_key, prefix
from deerflow.auth.limits import Limit
from deerflow.backend import Backend
from deerflow.domain.accounts import ApiKey
from deerflow.domain.principal import Principal, Proof, Scope
from deerflow.errors import Conflict, Invalid
from deerflow.storage import audit, keys
from deerflow.storage.database import Tx

_MAKING = Limit("keys-made", 30, 3_600, "Too many API keys were made within an hour; try again later")

MOST_GOOD_KEYS = 100
"""Keys of one user that are good at once; those that are revoked or expired do not count."""


@dataclass(frozen=True)
class WantedKey:
    """Which key somebody wants; without ``expires_at`` it is good until it is revoked."""

    name: str
    scope: Scope
    expires_at: datetime | None


def make_own_key(backend: Backend, caller: Principal, wanted: WantedKey, *, address: str | None) -> tuple[ApiKey, str]:
    """Make a key of the caller's own, as ``make_key`` does; RateLimited after too many within an hour."""
    user_id = UUID(caller.user_id)
    backend.limits.spend(_MAKING, caller.user_id)
    with backend.db.begin() as tx:
        until = latest_expiry(tx, caller, user_id, wanted.expires_at)
        facts = {"actor": caller.user_id, "address": address}
        return make_key(tx, user_id, name=wanted.name, scope=wanted.scope, expires_at=until, **facts)


def make_key(
    tx: Tx,
    user_id: UUID,
    *,
    name: str,
    scope: Scope,
    expires_at: datetime | None,
    actor: str | None,
    address: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key of a user: its row, and the key itself, which is told here and never again.

    Raises Conflict when the user has too many that are good.
    """
    if keys.count_good(tx, user_id) >= MOST_GOOD_KEYS:
        raise Conflict(f"There are {MOST_GOOD_KEYS} good API keys already; revoke one that is not needed any more")
    key = new_key()
    made = keys.create(
        tx, user_id, name=name, prefix=prefix(key), digest=digest(key), scope=scope, expires_at=expires_at
    )
    audit.note(tx, "key.create", actor=actor, subject=str(made.key_id), address=address, **_facts(made))
    return made, key


def revoke_key(tx: Tx, user_id: UUID, key_id: UUID, *, actor: str | None, address: str | None = None) -> None:
    """Make a key of a user open nothing, from the commit on; again changes nothing. NotFound when it is not theirs."""
    revoked = keys.revoke(tx, user_id, key_id)
    if revoked is not None:
        audit.note(tx, "key.revoke", actor=actor, subject=str(key_id), address=address, **_facts(revoked))


def _facts(key: ApiKey) -> dict[str, str]:
    return {"name": key.name, "prefix": key.prefix, "scope": key.scope.value}


def latest_expiry(tx: Tx, caller: Principal, user_id: UUID, wanted: datetime | None) -> datetime | None:
    """When a key that this caller makes shall expire: as wanted, but a key leaves none behind that outlives it.

    Without a wish it ends with the key that makes it; a later wish is Invalid.
    """
    if caller.proof is not Proof.KEY or caller.credential is None:
        return wanted
    most = keys.get(tx, user_id, caller.credential).expires_at
    if most is None or wanted is None:
        return most if wanted is None else wanted
    if wanted > most:
        raise Invalid(f"expires_at: must not be after {most.isoformat()}, when the key that makes this one expires")
    return wanted
