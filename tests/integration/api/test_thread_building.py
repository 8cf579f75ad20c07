"""Threads whose checkpoints come first: whoever dies or loses on the way, there is a whole thread or none."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from langgraph.checkpoint.base import empty_checkpoint

from deerflow.backend import Backend, open_worker
from deerflow.domain.ids import new_id
from deerflow.domain.threads import ThreadHead
from deerflow.errors import Conflict, Unavailable
from deerflow.graphs.savers import open_savers
from deerflow.runtime import ask, build, sweep
from deerflow.runtime.build import Built, settle
from deerflow.settings import Settings
from deerflow.storage import models, threads
from deerflow.storage.database import Tx
from tests.factories import LOCAL_USER, OWNER, at_once, make_thread
from tests.integration.api.conftest import detail
from tests.integration.graphs.conftest import open_gate

STEPS = [{"updates": [{"values": {"done": ["x"]}, "as_node": "one"}]}]


def reserve(backend: Backend, thread_id: UUID, seconds: float = 90.0) -> int:
    with backend.db.begin() as tx:
        return threads.reserve(tx, thread_id, seconds=seconds)


def insert(backend: Backend, built: Built) -> Any:
    with backend.db.begin() as tx:
        return settle(tx, LOCAL_USER, built)


def built_of(thread_id: UUID, token: int, **more: Any) -> Built:
    return Built(thread_id, token, {}, None, ThreadHead({"a": 1}, (), {}), **more)


def wait(backend: Backend, seconds: float) -> None:
    """Let time pass for what is reserved."""
    table = models.doomed_threads
    with backend.db.begin() as tx:
        for row in tx.execute(sa.select(table)).all():
            past = row.deleted_at - timedelta(seconds=seconds)
            tx.execute(sa.update(table).where(table.c.thread_id == row.thread_id).values(deleted_at=past))


def sweep_once(settings: Settings) -> None:
    async def clock() -> None:
        async with open_worker(settings, user_code=False) as worker:
            await sweep.sweep(worker)

    asyncio.run(clock())


def write(settings: Settings, thread_id: UUID, token: int) -> None:
    """Write a checkpoint, as the state worker does."""

    async def put() -> None:
        async with open_savers(settings.checkpoints) as savers:
            saver = await savers.for_run(thread_id, token, open_gate())
            config: Any = {"configurable": {"thread_id": str(thread_id), "checkpoint_ns": ""}}
            await saver.aput(config, empty_checkpoint(), {"source": "loop", "step": 1, "parents": {}}, {})

    asyncio.run(put())


def with_checkpoints(settings: Settings) -> set[str]:
    async def look() -> set[str]:
        async with open_savers(settings.checkpoints) as savers:
            return set(await savers.thread_ids())

    return asyncio.run(look())


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 0.2)


def test_what_dies_half_way_leaves_nothing(backend: Backend, settings: Settings, web: FlaskClient) -> None:
    """Checkpoints without a row are removed, though not while their thread may still come; then the id is free."""
    thread_id = new_id()
    write(settings, thread_id, reserve(backend, thread_id))
    sweep_once(settings)
    assert with_checkpoints(settings) == {str(thread_id)}
    assert web.get(f"/threads/{thread_id}").status_code == 404
    detail(web.post("/threads", json={"thread_id": str(thread_id)}), 409)
    wait(backend, 91)
    sweep_once(settings)
    assert with_checkpoints(settings) == set()
    assert web.post("/threads", json={"thread_id": str(thread_id)}).status_code == 200


def test_a_row_that_comes_in_time_keeps_its_checkpoints(backend: Backend, settings: Settings) -> None:
    """And the clock leaves it alone from then on; its next writer stands above who has built it."""
    thread_id = new_id()
    token = reserve(backend, thread_id)
    write(settings, thread_id, token)
    assert insert(backend, built_of(thread_id, token)).values == {"a": 1}
    wait(backend, 1_000)
    sweep_once(settings)
    assert with_checkpoints(settings) == {str(thread_id)}
    with backend.db.begin() as tx:
        assert threads.raise_fence(tx, thread_id) == token + 1


def test_a_row_that_comes_too_late_is_refused(backend: Backend) -> None:
    """The clock may have begun to remove its checkpoints."""
    thread_id = new_id()
    token = reserve(backend, thread_id)
    wait(backend, 61)
    with pytest.raises(Unavailable):
        insert(backend, built_of(thread_id, token))
    with backend.db.read() as tx:
        assert threads.see(tx, LOCAL_USER, thread_id) is None


def test_a_copy_of_what_is_deleted_meanwhile_is_none(backend: Backend) -> None:
    """What somebody has deleted must not live on by a race."""
    source, thread_id = make_thread(backend, LOCAL_USER), new_id()
    token = reserve(backend, thread_id)
    with backend.db.begin() as tx:
        threads.delete(tx, LOCAL_USER, source.thread_id)
    with pytest.raises(Conflict):
        insert(backend, built_of(thread_id, token, source=source))


def test_one_of_several_gets_the_id(backend: Backend) -> None:
    """Those that build it, and one that creates it at once."""
    thread_id = new_id()

    def create() -> bool:
        with backend.db.begin() as tx:
            threads.create(tx, LOCAL_USER, thread_id, {})
        return True

    def lost(act: Callable[[], object]) -> Callable[[], bool]:
        def tried() -> bool:
            try:
                act()
            except Conflict:
                return False
            return True

        return tried

    won = at_once(*(lost(lambda: reserve(backend, thread_id)) for _ in range(3)), lost(create))
    assert sum(won) == 1


def test_an_id_that_is_being_given_is_waited_for(backend: Backend) -> None:
    """Both ways: two tables have ids, and no constraint keeps one from being in both."""

    def create(tx: Tx, thread_id: UUID) -> None:
        threads.create(tx, LOCAL_USER, thread_id, {})

    def hold(tx: Tx, thread_id: UUID) -> None:
        threads.reserve(tx, thread_id, seconds=90.0)

    for first, second in ((create, hold), (hold, create)):
        thread_id = new_id()

        def try_second(act: Callable[[Tx, UUID], None] = second, taken: UUID = thread_id) -> None:
            with backend.db.begin() as tx:
                act(tx, taken)

        with ThreadPoolExecutor(1) as pool:
            with backend.db.begin() as tx:
                first(tx, thread_id)
                other = pool.submit(try_second)
                with pytest.raises(TimeoutError):
                    other.result(0.3)
            with pytest.raises(Conflict):
                other.result(10)


@pytest.mark.usefixtures("nobody_answers")
def test_without_a_state_worker_nothing_is_made(web: FlaskClient, thread: str) -> None:
    """503, and no row; an Idempotency-Key is still free."""
    key = {"Idempotency-Key": "one"}
    for path, body in (
        (f"/threads/{thread}/copy", None),
        ("/threads", {"supersteps": STEPS, "metadata": {"graph_id": "steps"}}),
    ):
        answer = web.post(path, json=body, headers=key)
        detail(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert web.post("/threads/count", json={}).json == 1
    assert web.post("/threads", json={}, headers=key).status_code == 200


@pytest.mark.usefixtures("nobody_answers")
def test_a_strangers_id_is_taken_for_supersteps_too(web: FlaskClient, backend: Backend) -> None:
    """In the same words as for everything that is taken; nobody is asked."""
    theirs = str(make_thread(backend, OWNER).thread_id)
    told = detail(web.post("/threads", json={"thread_id": theirs}), 409)
    for more in ({}, {"if_exists": "do_nothing"}):
        body = {"thread_id": theirs, "supersteps": STEPS, "metadata": {"graph_id": "steps"}, **more}
        assert detail(web.post("/threads", json=body), 409) == told


@pytest.mark.parametrize(
    "supersteps",
    ["x", {}, [5], [{}], [{"updates": []}], [{"updates": [5]}], [{"updates": [{"values": 5}]}],
     [{"updates": [{"as_node": 5}]}], [{"updates": [{"command": {"goto": 5}}]}], [{"updates": [{}]}] * 1001],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_bad_supersteps_are_refused(web: FlaskClient, supersteps: Any) -> None:
    body = {"supersteps": supersteps, "metadata": {"graph_id": "steps"}}
    assert "supersteps" in detail(web.post("/threads", json=body), 422)
    assert web.post("/threads/count", json={}).json == 0


@pytest.mark.parametrize("nothing", [None, []])
def test_no_supersteps_are_none(web: FlaskClient, nothing: Any) -> None:
    """Nobody is asked."""
    assert web.post("/threads", json={"supersteps": nothing}).status_code == 200


def test_the_reservation_lasts_longer_than_the_question() -> None:
    """The state worker may begin to write when the asker has just given up."""
    assert build._RESERVED_SECONDS - build._LEAST_LEFT_SECONDS >= 2 * ask._PATIENCE_SECONDS
