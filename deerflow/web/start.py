"""What a server is good for before anything was done with it: facts for the card that says how to start."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deerflow.domain.accounts import KeyState
from deerflow.identity import opened, principal
from deerflow.storage import keys
from deerflow.web.examples import examples


def start_facts() -> dict[str, Any]:
    """For ``_start.html``."""
    offers_key = principal().may("keys:write") and not _has_key()
    return {"is_fresh": True, "offers_key": offers_key, "examples": examples()}


def _has_key() -> bool:
    """Whether the caller has a key that opens something."""
    at = datetime.now(UTC)
    with opened.backend().db.read() as tx:
        return any(key.state(at) is KeyState.ACTIVE for key in keys.of_user(tx, UUID(principal().user_id)))
