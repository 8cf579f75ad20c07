"""The fence of the checkpoint store: what an attempt that is over writes is refused where it would be stored."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint

from deerflow.errors import Fenced
from deerflow.graphs.savers import Savers, open_savers
from deerflow.settings import Settings
from tests.databases import Databases
from tests.integration.graphs.conftest import open_gate


async def _saver(savers: Savers, thread: UUID, token: int) -> BaseCheckpointSaver[Any]:
    return await savers.for_run(thread, token, open_gate())


async def _put(saver: BaseCheckpointSaver[Any], thread: UUID, parent: str | None = None) -> str:
    config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": "", "checkpoint_id": parent}}
    written = await saver.aput(config, empty_checkpoint(), {"source": "loop", "step": 1, "parents": {}}, {})
    return str(written["configurable"]["checkpoint_id"])


async def _put_writes(saver: BaseCheckpointSaver[Any], thread: UUID, checkpoint: str) -> None:
    config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": "", "checkpoint_id": checkpoint}}
    await saver.aput_writes(config, [("channel", "value")], "task")


async def _count(savers: Savers, thread: UUID) -> int:
    config = {"configurable": {"thread_id": str(thread)}}
    return len([found async for found in savers.reader().alist(config)])


def test_newer_claim_shuts_the_older_out(run: Callable[..., None]) -> None:
    """scenario 11: the token moves between a saver's look and its write; checkpoint and writes are refused."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        old = await _saver(one, thread, 5)
        first = await _put(old, thread)
        new = await _saver(other, thread, 6)
        for late in (_put(old, thread, first), _put_writes(old, thread, first)):
            with pytest.raises(Fenced):
                await late
        await _put_writes(new, thread, first)
        await _put(new, thread, first)
        assert await _count(one, thread) == 2

    run(body)


def test_late_claim_gets_nothing(run: Callable[..., None]) -> None:
    """scenario 59: a worker that froze between its claim and the fence comes after its successor."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        new = await _saver(one, thread, 8)
        with pytest.raises(Fenced):
            await _saver(other, thread, 7)
        await _put(new, thread)

    run(body)


def test_deleted_thread_takes_nothing_more(run: Callable[..., None]) -> None:
    """What a worker still writes after the deletion is refused, and nothing stays behind."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        saver = await _saver(one, thread, 3)
        await _put(saver, thread)
        await other.remove_thread(thread, 4)
        with pytest.raises(Fenced):
            await _put(saver, thread)
        assert await _count(other, thread) == 0
        await _put(await _saver(other, thread, 5), thread)
        assert await _count(other, thread) == 1, "the id can be used again"

    run(body)


def test_a_late_removal_leaves_the_next_thread_of_that_id_alone(run: Callable[..., None]) -> None:
    """Two clocks have seen the deletion; one has carried it out, and the id is used again when the other comes."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        await _put(await _saver(one, thread, 3), thread)
        await one.remove_thread(thread, 4)
        saver = await _saver(one, thread, 6)
        await _put(saver, thread)
        await other.remove_thread(thread, 4)
        await _put(saver, thread)
        assert await _count(one, thread) == 2
        await other.remove_thread(thread, 7)
        assert await _count(one, thread) == 0

    run(body)


def test_shut_gate_refuses_before_the_store_is_asked(run: Callable[..., None]) -> None:
    """The first line, in memory."""

    async def body(one: Savers, _other: Savers) -> None:
        thread, gate = uuid4(), open_gate()
        saver = await one.for_run(thread, 1, gate)
        await _put(saver, thread)
        gate.shut()
        with pytest.raises(Fenced):
            await _put(saver, thread)

    run(body)


def test_cancelled_write_is_whole(run: Callable[..., None]) -> None:
    """A cancel in the middle of a write leaves no transaction open that would lock the others out."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        saver = await _saver(one, thread, 1)
        for _ in range(20):
            writing = asyncio.ensure_future(_put(saver, thread))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        elsewhere = uuid4()
        await asyncio.wait_for(_put(await _saver(other, elsewhere, 1), elsewhere), 20)

    run(body)


def test_owners_do_not_see_each_others_items(run: Callable[..., None]) -> None:
    """One store, a namespace an owner, for items, searches and listings alike."""

    async def body(one: Savers, other: Savers) -> None:
        mine, theirs = one.store("me"), other.store("you")
        await mine.aput(("notes", "work"), "k", {"text": "mine"})
        await theirs.aput(("notes",), "k", {"text": "theirs"})
        assert (await mine.aget(("notes",), "k")) is None
        found = await mine.asearch(("notes",))
        assert [(item.namespace, item.value["text"]) for item in found] == [(("notes", "work"), "mine")]
        assert await mine.alist_namespaces() == [("notes", "work")]
        assert await mine.alist_namespaces(prefix=("notes",), max_depth=1) == [("notes",)]
        assert await theirs.alist_namespaces() == [("notes",)]
        await theirs.adelete(("notes", "work"), "k")
        assert (await mine.aget(("notes", "work"), "k")) is not None

    run(body)


def test_claim_between_look_and_write(run: Callable[..., None], settings: Settings) -> None:
    """A claim in the very middle of a saver's write either waits until that is stored, or the write is refused."""

    async def body(one: Savers, _other: Savers) -> None:
        thread, claimed = uuid4(), []
        saver = await _saver(one, thread, 5)
        dump = saver.serde.dumps_typed

        def claimed_meanwhile(value: Any) -> Any:
            if not claimed:
                claimed.append(_claims(settings, thread, 6))
            return dump(value)

        saver.serde.dumps_typed = claimed_meanwhile  # type: ignore[method-assign]
        config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": "", "checkpoint_id": None}}
        checkpoint = {**empty_checkpoint(), "channel_values": {"log": ["a"]}, "channel_versions": {"log": "1"}}
        writing = saver.aput(config, checkpoint, {"source": "loop", "step": 1, "parents": {}}, {"log": "1"})
        try:
            await writing
        except Fenced:
            assert claimed == [True]
        else:
            assert claimed == [False]
            assert _claims(settings, thread, 6)
        assert await _count(one, thread) == (0 if claimed == [True] else 1)
        with pytest.raises(Fenced):
            await _put(saver, thread)

    run(body)


def test_a_write_that_waits_for_a_claim_is_refused_by_it(run: Callable[..., None], settings: Settings) -> None:
    """scenario 11: the claim came first and is not stored yet."""

    async def body(one: Savers, _other: Savers) -> None:
        thread = uuid4()
        saver = await _saver(one, thread, 5)
        with _claim_under_way(settings, thread, 6):
            writing = asyncio.create_task(_put(saver, thread))
            done, _ = await asyncio.wait({writing}, timeout=0.3)
            assert not done
        with pytest.raises(Fenced):
            await writing
        assert await _count(one, thread) == 0

    run(body)


def test_who_stands_still_in_a_transaction_holds_no_claim_up(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scenario 11: a process that is frozen there loses its connection, and writes nothing once it goes on."""
    monkeypatch.setattr("deerflow.graphs.postgres.POSTGRES_IDLE", "idle_in_transaction_session_timeout = '500ms'")
    under_way, claimed = asyncio.Event(), asyncio.Event()

    async def body(one: Savers, other: Savers) -> None:
        thread, gate = uuid4(), open_gate()
        saver = await one.for_run(thread, 5, gate)

        async def frozen() -> None:
            async with saver._cursor(pipeline=True) as cursor:  # type: ignore[attr-defined]
                await cursor.connection._pipeline.sync()  # as ahead of the COMMIT, when all before it is answered
                under_way.set()
                await claimed.wait()

        writing = asyncio.create_task(gate.write(frozen))
        await under_way.wait()
        await _saver(other, thread, 6)
        claimed.set()
        with pytest.raises(Fenced):
            await writing

    async def opened(url: str) -> None:
        async with open_savers(url) as one, open_savers(url) as other:
            await asyncio.wait_for(body(one, other), 60)

    url = databases.fresh("postgres", tmp_path)
    asyncio.run(opened(Settings(database_url=url, redis_url="redis://unused").checkpoints))
    databases.give_back(url)


_CLAIM = "INSERT INTO fences VALUES ({p}, {p}) ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token"


@contextmanager
def _claim_under_way(settings: Settings, thread: UUID, token: int) -> Iterator[None]:
    """Raise the fence as another process's claim does; it is stored at the end of the block."""
    facts = (str(thread), token)
    if settings.checkpoints.startswith("sqlite"):
        with closing(sqlite3.connect(settings.checkpoints.removeprefix("sqlite:///"))) as file, file:
            file.execute(_CLAIM.format(p="?"), facts)
            yield
    else:
        with psycopg.connect(settings.checkpoints, options="-c search_path=langgraph") as postgres:
            postgres.execute(_CLAIM.format(p="%s"), facts)
            yield


def _claims(settings: Settings, thread: UUID, token: int) -> bool:
    """Raise the fence as another process's claim does; False when it would have to wait."""
    facts = (str(thread), token)
    if settings.checkpoints.startswith("sqlite"):
        with closing(sqlite3.connect(settings.checkpoints.removeprefix("sqlite:///"), timeout=0.3)) as file, file:
            file.execute(_CLAIM.format(p="?"), facts)
        return True
    try:
        with psycopg.connect(settings.checkpoints, options="-c lock_timeout=300 -c search_path=langgraph") as postgres:
            postgres.execute(_CLAIM.format(p="%s"), facts)
    except psycopg.errors.LockNotAvailable:
        return False
    return True


class _Taken(ThreadPoolExecutor):
    """The threads of users' sync code, all of them taken for ever."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("Nobody may wait for a user's thread here")


def test_states_are_read_without_the_threads_of_users(run: Callable[..., None]) -> None:
    async def body(savers: Savers, _: Savers) -> None:
        thread = uuid4()
        saver = await _saver(savers, thread, 1)
        for _step in range(3):
            await _put_writes(saver, thread, await _put(saver, thread))
        asyncio.get_running_loop().set_default_executor(_Taken(1))
        found = [each async for each in savers.reader().alist({"configurable": {"thread_id": str(thread)}})]
        assert [each.pending_writes for each in found] == [[("task", "channel", "value")]] * 3

    run(body)
