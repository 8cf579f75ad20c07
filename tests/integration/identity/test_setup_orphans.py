"""What was made before there were accounts belongs to the first administrator, all of it, once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from langgraph.checkpoint.base import empty_checkpoint

from deerflow.backend import Backend, WorkerBackend, open_worker
from deerflow.domain.accounts import FIRST_ADMIN
from deerflow.domain.assistants import AssistantSpec
from deerflow.domain.idempotency import IdempotencyKey
from deerflow.domain.ids import new_id
from deerflow.domain.principal import LOCAL
from deerflow.graphs.savers import Savers
from deerflow.runtime import adopt
from deerflow.runtime.adopt import finish_adoptions
from deerflow.runtime.set_up import first_boot
from deerflow.settings import Settings
from deerflow.storage import assistants, idempotency, models, threads
from tests.conftest import SilentBell, wait_for
from tests.factories import LOCAL_USER, OWNER, finish_run, make_administrator, make_run, make_running, make_thread
from tests.integration.graphs.conftest import open_gate

HEIR = str(FIRST_ADMIN)
OWNED = (
    models.threads,
    models.runs,
    models.assistants,
    models.assistant_versions,
    models.crons,
    models.webhooks,
    models.idempotency_keys,
)


@pytest.fixture
def clock(settings: Settings) -> Callable[..., None]:
    """Runs an async body with the clock's backend."""

    def run(act: Callable[[WorkerBackend], Awaitable[None]]) -> None:
        async def body() -> None:
            async with open_worker(settings, user_code=False) as opened:
                await act(opened)

        asyncio.run(body())

    return run


def owners(backend: Backend) -> set[str]:
    """Who owns anything at all, but for the system."""
    with backend.db.read() as tx:
        return {owner for table in OWNED for owner in tx.scalars(sa.select(table.c.owner))} - {"system"}


def is_finished(backend: Backend) -> bool:
    with backend.db.read() as tx:
        return tx.scalar(sa.select(models.adoptions.c.finished_at)) is not None


def thread_row(backend: Backend, thread_id: UUID) -> dict[str, Any] | None:
    with backend.db.read() as tx:
        row = tx.execute(sa.select(models.threads).where(models.threads.c.thread_id == thread_id)).one_or_none()
        return dict(row._mapping) if row else None


async def items(savers: Savers, owner: str) -> dict[tuple[str, ...], Any]:
    return {(*item.namespace, item.key): item.value["is"] for item in await savers.store(owner).asearch(())}


async def put_checkpoint(savers: Savers, thread_id: UUID, *, interrupted: bool = False, **metadata: Any) -> None:
    """What a server without rows of ours has left."""
    saver = await savers.for_run(thread_id, 1, open_gate())
    config: Any = {"configurable": {"thread_id": str(thread_id), "checkpoint_ns": ""}}
    written = await saver.aput(config, empty_checkpoint(), {"source": "loop", "step": 1, "parents": {}, **metadata}, {})
    if interrupted:
        await saver.aput_writes(written, [("__interrupt__", ())], "task")


def test_all_rows_change_hands_with_the_set_up(backend: Backend, bell: SilentBell) -> None:
    """In its transaction; what others own stays theirs."""
    run = make_run(backend, LOCAL_USER, webhook="https://example.com/hook")
    finish_run(backend, make_running(backend, LOCAL_USER))
    others = make_thread(backend, OWNER)
    with backend.db.begin() as tx:
        assert idempotency.take(tx, LOCAL_USER, IdempotencyKey("k", "f"), keep_seconds=60) is None
        assistants.create(tx, LOCAL_USER, new_id(), AssistantSpec(graph_id="steps"))
    assert owners(backend) == {LOCAL, OWNER.user_id}
    first_boot(backend, admin_email="ada@example.com", admin_password="a long sentence nobody else would say")
    assert owners(backend) == {HEIR, OWNER.user_id}
    assert thread_row(backend, run.thread_id)["owner"] == HEIR
    assert thread_row(backend, others.thread_id)["owner"] == OWNER.user_id
    assert bell.sweeps == 1


async def next_second() -> None:
    """Wait until what is stored now is newer than what was: SQLite's store tells times to the second."""
    begun = int(time.time())
    await asyncio.to_thread(wait_for, lambda: int(time.time()) > begun, what="the next second")


def test_store_items_follow(backend: Backend, clock: Callable[..., None]) -> None:
    """Of two with one name the newer one stays; somebody whose name begins alike keeps theirs."""

    async def body(opened: WorkerBackend) -> None:
        savers = opened.savers
        await savers.store(LOCAL).aput(("a",), "older", {"is": "old"})
        await savers.store(HEIR).aput(("a",), "newer", {"is": "old"})
        make_administrator(backend)
        await savers.store("locals").aput(("a",), "x", {"is": "not touched"})
        await savers.store(LOCAL).aput(("a", "b"), "x", {"is": "theirs"})
        await next_second()
        await savers.store(HEIR).aput(("a",), "older", {"is": "new"})
        await savers.store(LOCAL).aput(("a",), "newer", {"is": "new"})
        await finish_adoptions(opened)
        there = {("a", "older"): "new", ("a", "newer"): "new", ("a", "b", "x"): "theirs"}
        assert await items(savers, HEIR) == there
        assert await items(savers, LOCAL) == {}
        assert await items(savers, "locals") == {("a", "x"): "not touched"}
        await finish_adoptions(opened)
        assert await items(savers, HEIR) == there

    clock(body)
    assert is_finished(backend)


def test_threads_of_which_there_are_but_checkpoints_get_a_row(backend: Backend, clock: Callable[..., None]) -> None:
    """scenario 42: none is left that belongs to nobody. What was deleted, or has a row, stays as it is."""
    found, waiting, deleted, others = uuid4(), uuid4(), uuid4(), make_thread(backend, OWNER).thread_id

    async def body(opened: WorkerBackend) -> None:
        await put_checkpoint(opened.savers, found, graph_id="steps", run_id=str(uuid4()))
        await put_checkpoint(opened.savers, waiting, interrupted=True)
        for known in (others, deleted):
            await put_checkpoint(opened.savers, known, graph_id="steps")
        make_thread(backend, LOCAL_USER, thread_id=deleted)
        with backend.db.begin() as tx:
            threads.delete(tx, LOCAL_USER, deleted)
        make_administrator(backend)
        await finish_adoptions(opened)

    clock(body)
    row = thread_row(backend, found)
    assert row is not None
    assert (row["owner"], row["status"], row["metadata"]) == (HEIR, "idle", {"graph_id": "steps"})
    assert abs(row["updated_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert row["created_at"] == row["updated_at"], "the time of its only checkpoint"
    assert thread_row(backend, waiting)["status"] == "interrupted"
    assert thread_row(backend, deleted) is None
    assert thread_row(backend, others)["owner"] == OWNER.user_id


def test_a_thread_deleted_meanwhile_is_not_raised_from_the_dead(
    backend: Backend, clock: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoints and the note of its deletion go between our two looks."""
    gone = uuid4()

    async def body(opened: WorkerBackend) -> None:
        await put_checkpoint(opened.savers, gone)
        listed = await opened.savers.thread_ids()
        await opened.savers.remove_thread(gone, 2)

        async def thread_ids() -> list[str]:
            return listed

        monkeypatch.setattr(opened.savers, "thread_ids", thread_ids)
        make_administrator(backend)
        await finish_adoptions(opened)

    clock(body)
    assert thread_row(backend, gone) is None
    assert is_finished(backend)


def test_a_run_under_way_loses_nothing(backend: Backend, clock: Callable[..., None]) -> None:
    """Its worker acts for ``local`` until it ends: its items stay where it looks for them, and follow then."""
    running = make_running(backend, LOCAL_USER)

    async def body(opened: WorkerBackend) -> None:
        await opened.savers.store(LOCAL).aput(("a",), "before", {"is": 1})
        make_administrator(backend)
        await finish_adoptions(opened)
        assert await items(opened.savers, LOCAL) == {("a", "before"): 1}
        assert not is_finished(backend)
        make_running(backend, OWNER), make_thread(backend, LOCAL_USER)  # who is late follows, and others hinder nobody
        await opened.savers.store(LOCAL).aput(("a",), "late", {"is": 2})
        assert finish_run(backend, running)
        await finish_adoptions(opened)
        assert await items(opened.savers, HEIR) == {("a", "before"): 1, ("a", "late"): 2}
        assert LOCAL not in owners(backend)

    clock(body)
    assert is_finished(backend)


@pytest.mark.parametrize("point", ["_hand_over", "_without_row", "_adopt", "_finish"])
def test_stopped_anywhere_it_is_done_again(
    backend: Backend, clock: Callable[..., None], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    ids = [uuid4(), uuid4()]

    class Stopped(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Stopped

    async def body(opened: WorkerBackend) -> None:
        for thread_id in ids:
            await put_checkpoint(opened.savers, thread_id)
        await opened.savers.store(LOCAL).aput(("a",), "x", {"is": 1})
        make_administrator(backend)
        with monkeypatch.context() as patched:
            patched.setattr(adopt, point, stop)
            with pytest.raises(Stopped):
                await finish_adoptions(opened)
        assert not is_finished(backend)
        await finish_adoptions(opened)
        assert await items(opened.savers, HEIR) == {("a", "x"): 1}

    clock(body)
    assert is_finished(backend)
    assert [thread_row(backend, each)["owner"] for each in ids] == [HEIR, HEIR]
