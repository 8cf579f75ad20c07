"""How long threads are kept: what clients ask for and read, and what the clock makes of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from langgraph.checkpoint.base import empty_checkpoint

from deerflow.backend import Backend, open_worker
from deerflow.graphs.savers import open_savers
from deerflow.project import Checkpointer
from deerflow.runtime import sweep
from deerflow.settings import Settings
from deerflow.storage import models, threads
from tests.factories import LOCAL_USER, at_once, claim_run, finish_run, make_run, row_of
from tests.integration.api.conftest import detail
from tests.integration.graphs.conftest import open_gate


def make(web: FlaskClient, **body: Any) -> str:
    answer = web.post("/threads", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json["thread_id"])


def shown(web: FlaskClient, thread: str) -> dict[str, Any] | None:
    return web.get(f"/threads/{thread}?include=ttl").json.get("ttl")  # type: ignore[no-any-return]


def age(backend: Backend, minutes: float) -> None:
    """Let time pass for all threads."""
    table = models.threads
    with backend.db.begin() as tx:
        for row in tx.execute(sa.select(table)).all():
            past = {n: getattr(row, n) and getattr(row, n) - timedelta(minutes=minutes) for n in _TIMES}
            tx.execute(sa.update(table).where(table.c.thread_id == row.thread_id).values(past))


_TIMES = ("updated_at", "expires_at", "created_at")


def sweep_once(settings: Settings) -> None:
    """One sweep of a clock."""

    async def clock() -> None:
        async with open_worker(settings, user_code=False) as worker:
            await sweep.sweep(worker)

    asyncio.run(clock())


def is_there(web: FlaskClient, thread: str) -> bool:
    return bool(web.get(f"/threads/{thread}").status_code == 200)


def store_checkpoints(settings: Settings, backend: Backend, thread: str, count: int) -> None:
    """Write as many checkpoints as a run's worker does."""
    with backend.db.begin() as tx:
        token = threads.raise_fence(tx, UUID(thread))

    async def put() -> None:
        async with open_savers(settings.checkpoints) as savers:
            saver = await savers.for_run(UUID(thread), token, open_gate())
            config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
            for _ in range(count):
                config = await saver.aput(config, empty_checkpoint(), {"source": "loop", "step": 1, "parents": {}}, {})

    asyncio.run(put())


def checkpoints(settings: Settings, thread: str) -> int:
    """How many a thread has."""

    async def count() -> int:
        async with open_savers(settings.checkpoints) as savers:
            return len([each async for each in savers.reader().alist({"configurable": {"thread_id": thread}})])

    return asyncio.run(count())


@pytest.mark.parametrize(
    ("ttl", "strategy", "minutes"),
    [(5, "delete", 5.0), (0.5, "delete", 0.5), ({"ttl": 7}, "delete", 7.0),
     ({"ttl": 7, "strategy": "keep_latest"}, "keep_latest", 7.0), ({"ttl": 7, "strategy": None}, "delete", 7.0)],
)  # fmt: skip
def test_what_is_asked_for_is_shown(web: FlaskClient, ttl: Any, strategy: str, minutes: float) -> None:
    """On demand only, in the SDK's shape; an edit begins it anew, and so does everything else that happens."""
    thread = make(web, ttl=ttl)
    told = shown(web, thread)
    assert told is not None
    assert (told["strategy"], told["ttl_minutes"]) == (strategy, minutes)
    row = web.get(f"/threads/{thread}").json
    assert "ttl" not in row
    left = datetime.fromisoformat(told["expires_at"]) - datetime.fromisoformat(row["updated_at"])
    assert abs(left - timedelta(minutes=minutes)) < timedelta(seconds=1)
    after = web.patch(f"/threads/{thread}", json={"metadata": {"a": 1}}).json
    ends = datetime.fromisoformat(shown(web, thread)["expires_at"])  # type: ignore[index]
    assert ends == datetime.fromisoformat(after["updated_at"]) + timedelta(minutes=minutes)


def test_a_thread_is_kept_for_ever_unless_somebody_says_otherwise(web: FlaskClient) -> None:
    """A PATCH says so later, too; null is nothing said."""
    thread = make(web, ttl=None)
    assert shown(web, thread) is None
    assert web.patch(f"/threads/{thread}", json={"ttl": 9}, headers={"Prefer": "return=minimal"}).status_code == 204
    assert shown(web, thread)["ttl_minutes"] == 9.0  # type: ignore[index]
    web.patch(f"/threads/{thread}", json={"ttl": None, "metadata": None})
    assert shown(web, thread)["ttl_minutes"] == 9.0  # type: ignore[index]


@pytest.mark.parametrize(
    "ttl", [0, -1, "5", True, [5], {}, {"ttl": None}, {"ttl": 5, "strategy": "keep"}, 1e12, {"minutes": 5}]
)
def test_what_is_no_time_is_refused(web: FlaskClient, thread: str, ttl: Any) -> None:
    assert "ttl" in detail(web.post("/threads", json={"ttl": ttl}), 422)
    assert "ttl" in detail(web.patch(f"/threads/{thread}", json={"ttl": ttl}), 422)


def test_the_project_says_how_long_threads_are_kept(web: FlaskClient, backend: Backend) -> None:
    """However they are made; what a client says goes before it."""
    said = replace(backend.project, checkpointer=Checkpointer(default_ttl=3.0, strategy="keep_latest"))
    object.__setattr__(backend, "project", said)
    by_run = "01932c07-0000-7000-8000-00000000abcd"
    web.post(f"/threads/{by_run}/runs", json={"assistant_id": "steps", "if_not_exists": "create"})
    for thread in (make(web), make(web, ttl=None), by_run):
        told = shown(web, thread)
        assert told is not None
        assert (told["ttl_minutes"], told["strategy"]) == (3.0, "keep_latest")
    assert shown(web, make(web, ttl=8))["strategy"] == "delete"  # type: ignore[index]


def test_an_expired_thread_is_deleted_with_all_that_it_has(
    web: FlaskClient, backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a sweep takes at once; those whose time has not come stay."""
    monkeypatch.setattr(sweep, "_THREADS_A_SWEEP", 2)
    expired = [make(web, ttl=1) for _ in range(5)]
    kept = [make(web, ttl=100), make(web)]
    store_checkpoints(settings, backend, expired[0], 2)
    age(backend, 2)
    for _ in range(3):
        sweep_once(settings)
    assert [is_there(web, thread) for thread in expired + kept] == [False] * 5 + [True] * 2
    assert checkpoints(settings, expired[0]) == 0
    assert make(web, thread_id=expired[0]) == expired[0], "the id can be used again"


def test_what_happens_on_a_thread_moves_its_end(web: FlaskClient, backend: Backend, settings: Settings) -> None:
    """An edit or a run's end; a thread with a run in flight is never taken."""
    edited, ran, runs = make(web, ttl=10), make(web, ttl=10), make(web, ttl=10)
    over, waits = (make_run(backend, LOCAL_USER, thread_id=UUID(each)) for each in (ran, runs))
    age(backend, 11)
    web.patch(f"/threads/{edited}", json={})
    claimed = claim_run(backend, over)
    assert claimed is not None
    finish_run(backend, claimed)
    sweep_once(settings)
    assert all(is_there(web, thread) for thread in (edited, ran, runs))
    assert row_of(backend, waits).status == "pending"
    age(backend, 11)
    sweep_once(settings)
    assert [is_there(web, thread) for thread in (edited, ran, runs)] == [False, False, True]


def test_keep_latest_leaves_the_thread(web: FlaskClient, backend: Backend, settings: Settings) -> None:
    """Its past goes, and what has come since, the next time."""
    thread = make(web, ttl={"ttl": 1, "strategy": "keep_latest"})
    for _ in range(2):
        store_checkpoints(settings, backend, thread, 3)
        age(backend, 2)
        before = web.get(f"/threads/{thread}").json
        sweep_once(settings)
        assert web.get(f"/threads/{thread}").json == before
        assert checkpoints(settings, thread) == 1
        assert datetime.fromisoformat(shown(web, thread)["expires_at"]) > datetime.now(UTC)  # type: ignore[index]


def test_a_clock_that_dies_while_it_prunes_leaves_it_to_the_next(
    web: FlaskClient, backend: Backend, settings: Settings
) -> None:
    """It has taken the thread, and not come to the checkpoints."""
    thread = make(web, ttl={"ttl": 1, "strategy": "keep_latest"})
    store_checkpoints(settings, backend, thread, 3)
    age(backend, 2)
    with backend.db.begin() as tx:
        assert [str(each) for each, _ in threads.take_expired(tx, limit=9).to_prune] == [thread]
    assert checkpoints(settings, thread) == 3
    sweep_once(settings)
    assert checkpoints(settings, thread) == 1


def test_a_run_and_the_sweep_race_for_a_thread(web: FlaskClient, backend: Backend) -> None:
    """Either the thread is gone and the run refused, or the run is there and the thread stays."""
    made = [make(web, ttl=1) for _ in range(6)]
    age(backend, 2)

    def take() -> list[str]:
        with backend.db.begin() as tx:
            return [str(each) for each in threads.take_expired(tx, limit=3).gone]

    def start(thread: str) -> int:
        return int(
            web.application.test_client().post(f"/threads/{thread}/runs", json={"assistant_id": "steps"}).status_code
        )

    gone, more, *statuses = at_once(take, take, *(lambda thread=thread: start(thread) for thread in made))
    assert len(gone + more) == len({*gone, *more})
    for thread, status in zip(made, statuses, strict=True):
        assert status == (404 if thread in gone + more else 200)
        assert is_there(web, thread) == (status == 200)
