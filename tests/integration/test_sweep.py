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
from deerflow.storage import audit, idempotency, models, sessions
from deerflow.storage.types import now
from tests.factories import OWNER, make_user


def keys(backend: Backend) -> set[str]:
    with backend.db.read() as tx:
        return set(tx.scalars(sa.select(models.idempotency_keys.c.key)))


def sweep_once(backend: Backend) -> None:
    async def sql(act: Callable[..., Any], *args: Any) -> Any:
        return act(*args)

    clock = cast("WorkerBackend", SimpleNamespace(db=backend.db, rules=backend.rules, sql=sql))
    asyncio.run(sweep.sweep(clock))


def test_old_audit_and_expired_sessions_are_removed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, however many a transaction takes; what still counts stays."""
    monkeypatch.setattr(sweep, "_ROWS_A_TRANSACTION", 2)
    user = make_user(backend, "ada@example.com")
    with backend.db.begin() as tx:
        for _ in range(5):
            audit.note(tx, "key.create", actor=None)
            sessions.begin(tx, user, browser="", address="", seconds=-1)
        tx.execute(sa.update(models.audit).values(at=now(-86_400.0 * backend.rules.audit_days - 1.0)))
        audit.note(tx, "key.revoke", actor=None)
        kept = sessions.begin(tx, user, browser="", address="", seconds=60)
    sweep_once(backend)
    with backend.db.read() as tx:
        assert [entry.action for entry in audit.page(tx, limit=9)] == ["key.revoke"]
        assert list(tx.scalars(sa.select(models.sessions.c.session_id))) == [kept.session_id]


def test_expired_keys_are_removed(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, however many a transaction takes; those that still count stay."""
    monkeypatch.setattr(sweep, "_ROWS_A_TRANSACTION", 2)
    keep = backend.rules.idempotency_seconds
    with backend.db.begin() as tx:
        for name in ("a", "b", "c", "d", "e"):
            assert idempotency.take(tx, OWNER, IdempotencyKey(name, "f"), keep_seconds=keep) is None
        tx.execute(sa.update(models.idempotency_keys).values(created_at=now(-keep - 1.0)))
        assert idempotency.take(tx, OWNER, IdempotencyKey("new", "f"), keep_seconds=keep) is None
        assert idempotency.take(tx, OWNER, IdempotencyKey("a", "f"), keep_seconds=keep) is None, "expired: free"

    sweep_once(backend)
    assert keys(backend) == {"a", "new"}
