"""The fence of the long-term store: what a run that is over still writes there is refused."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.store.base import BaseStore

from deerflow.errors import Fenced
from deerflow.graphs.gate import Gate
from deerflow.graphs.savers import Savers
from tests.integration.graphs.conftest import open_gate


async def _of_run(savers: Savers, thread: UUID, token: int, gate: Gate | None = None) -> BaseStore:
    gate = gate or open_gate()
    await savers.for_run(thread, token, gate, run_id=uuid4())
    return savers.store_for_run("me", thread, token, gate)


def test_newer_attempt_shuts_the_older_out(run: Callable[..., None]) -> None:
    """scenario 11: put and delete are refused, from the loop and from a sync node's thread; reading goes on."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        old = await _of_run(one, thread, 5)
        await old.aput(("notes",), "k", {"text": "old"})
        new = await _of_run(other, thread, 6)
        for late in (old.aput(("notes",), "k", {"text": "late"}), old.adelete(("notes",), "k")):
            with pytest.raises(Fenced):
                await late
        with pytest.raises(Fenced):
            await asyncio.to_thread(old.put, ("notes",), "k", {"text": "late"})
        for store in (old, new):
            found = await store.aget(("notes",), "k")
            assert found is not None
            assert found.value == {"text": "old"}
        await asyncio.to_thread(new.put, ("notes",), "k", {"text": "new"})
        assert [item.value["text"] for item in await old.asearch(("notes",))] == ["new"]

    run(body)


def test_nobody_takes_the_thread_between_look_and_write(run: Callable[..., None]) -> None:
    """A claim that comes when the fence was looked at waits until the write is stored; the next write is refused."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        old = await _of_run(one, thread, 5)
        official: Any = old._store
        write, claims = official._batch_put_ops, []

        async def interrupted(*args: Any) -> None:
            claims.append(asyncio.create_task(other.for_run(thread, 6, open_gate(), run_id=uuid4())))
            await asyncio.wait(claims, timeout=0.5)
            assert not claims[0].done()
            await write(*args)

        official._batch_put_ops = interrupted
        await old.aput(("notes",), "k", {"text": "in time"})
        await claims[0]
        official._batch_put_ops = write
        with pytest.raises(Fenced):
            await old.aput(("notes",), "k", {"text": "late"})
        found = await other.store("me").aget(("notes",), "k")
        assert found is not None
        assert found.value == {"text": "in time"}

    run(body)


def test_refused_write_holds_nothing(run: Callable[..., None]) -> None:
    """It leaves no transaction open: others write at once."""

    async def body(one: Savers, other: Savers) -> None:
        thread = uuid4()
        old = await _of_run(one, thread, 5)
        new = await _of_run(other, thread, 6)
        for _ in range(5):
            with pytest.raises(Fenced):
                await old.aput(("notes",), "k", {})
        await asyncio.wait_for(new.aput(("notes",), "k", {}), 20)
        await asyncio.wait_for(one.store("you").aput(("notes",), "k", {}), 20)

    run(body)


def test_shut_gate_refuses(run: Callable[..., None]) -> None:
    """A node that was cut off in this very process is refused, too."""

    async def body(one: Savers, _other: Savers) -> None:
        gate = open_gate()
        store = await _of_run(one, uuid4(), 5, gate)
        gate.shut()
        with pytest.raises(Fenced):
            await store.aput(("notes",), "k", {})
        assert await store.aget(("notes",), "k") is None

    run(body)


def test_sync_call_on_the_loop_says_what_to_do(run: Callable[..., None]) -> None:
    """It would wait for itself."""

    async def body(one: Savers, _other: Savers) -> None:
        store = await _of_run(one, uuid4(), 5)
        with pytest.raises(asyncio.InvalidStateError, match=r"await store\.aput"):
            store.put(("notes",), "k", {})

    run(body)
