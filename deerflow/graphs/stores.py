"""Stores: LangGraph's long-term memory, in the official store, where each owner has a namespace of their own.

What a graph calls ``("memories",)`` is stored as ``(<owner>, "memories")``: the same rule for every way to the store,
so that nobody can name another owner's items.

What a run writes there is fenced like its checkpoints: an attempt that is over stores nothing.
"""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from langgraph.store.base.batch import AsyncBatchedBaseStore

from deerflow.graphs.gate import Gate


@dataclass(frozen=True)
class Holder:
    """The attempt that writes: it may as long as *token* is the thread's, and its gate is open."""

    thread_id: str
    token: int
    gate: Gate


writing_as: ContextVar[Holder | None] = ContextVar("writing_as", default=None)
"""Whose write the official store is carrying out; its subclasses look at the fence in the write's transaction."""


class OwnedStore(BaseStore):
    """One owner's view of the store; as light as the owner's name, so every run gets one."""

    supports_ttl = True

    def __init__(self, store: AsyncBatchedBaseStore, owner: str, holder: Holder | None = None) -> None:
        self._store, self._owner, self._holder = store, owner, holder

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """For sync nodes, from their threads; InvalidStateError on the loop itself, which would wait for itself."""
        asked = list(ops)
        if _on_loop(self._store._loop):
            raise asyncio.InvalidStateError("On the event loop use the store's async methods, e.g. await store.aput()")
        return asyncio.run_coroutine_threadsafe(self.abatch(asked), self._store._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """For everybody else."""
        owned = [self._owned(op) for op in ops]
        if self._holder is None or not any(isinstance(op, PutOp) for op in owned):
            return [self._shown(result) for result in await self._store.abatch(owned)]
        return [self._shown(result) for result in await self._holder.gate.write(lambda: self._write(owned))]

    async def _write(self, owned: list[Op]) -> list[Result]:
        marked = writing_as.set(self._holder)
        try:
            return await self._store.abatch(owned)
        finally:
            writing_as.reset(marked)

    def _owned(self, op: Op) -> Op:
        if isinstance(op, GetOp | PutOp):
            return op._replace(namespace=(self._owner, *op.namespace))
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(self._owner, *op.namespace_prefix))
        if isinstance(op, ListNamespacesOp):
            return self._owned_listing(op)
        return op

    def _owned_listing(self, op: ListNamespacesOp) -> ListNamespacesOp:
        asked = op.match_conditions or ()
        prefixes = [
            MatchCondition("prefix", (self._owner, *condition.path))
            for condition in asked
            if condition.match_type == "prefix"
        ] or [MatchCondition("prefix", (self._owner,))]
        others = [condition for condition in asked if condition.match_type != "prefix"]
        depth = op.max_depth + 1 if op.max_depth is not None else None
        return op._replace(match_conditions=(*prefixes, *others), max_depth=depth)

    def _shown(self, result: Result) -> Result:
        if isinstance(result, Item):
            result.namespace = result.namespace[1:]
            return result
        if isinstance(result, list):
            return [self._shown_entry(entry) for entry in result]  # type: ignore[return-value]
        return result

    @staticmethod
    def _shown_entry(entry: Item | tuple[str, ...]) -> Item | tuple[str, ...]:
        if isinstance(entry, tuple):
            return entry[1:]
        entry.namespace = entry.namespace[1:]
        return entry


def _on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


async def end_batching(store: AsyncBatchedBaseStore) -> None:
    """End the store's own task, which would otherwise be destroyed with the loop while it waits."""
    if store._task is not None:
        store._task.cancel()
        await asyncio.gather(store._task, return_exceptions=True)
