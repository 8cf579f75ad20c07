"""The sweep, as the clock calls it."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend, WorkerBackend
from deerflow.domain.idempotency import IdempotencyKey
from deerflow.runtime import sweep
from deerflow.storage import idempotency, models
from deerflow.storage.types import now
from tests.factories import OWNER


def keys(backend: Backend) -> set[str]:
    with backend.db.read() as tx:
        return set(tx.scalars(sa.select(models.idempotency_keys.c.key)))


def test_expired_keys_are_removed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, however many a transaction takes; those that still count stay."""
    monkeypatch.setattr(sweep, "_KEYS_A_TRANSACTION", 2)
    keep = backend.rules.idempotency_seconds
    with backend.db.begin() as tx:
        for name in ("a", "b", "c", "d", "e"):
            assert idempotency.take(tx, OWNER, IdempotencyKey(name, "f"), keep_seconds=keep) is None
        tx.execute(sa.update(models.idempotency_keys).values(created_at=now(-keep - 1.0)))
        assert idempotency.take(tx, OWNER, IdempotencyKey("new", "f"), keep_seconds=keep) is None
        assert idempotency.take(tx, OWNER, IdempotencyKey("a", "f"), keep_seconds=keep) is None, "expired: free"

    async def sql(act: Callable[..., Any], *args: Any) -> Any:
        return act(*args)

    clock = cast("WorkerBackend", SimpleNamespace(db=backend.db, rules=backend.rules, sql=sql))
    asyncio.run(sweep.sweep(clock))
    assert keys(backend) == {"a", "new"}
