"""Stores: LangGraph's long-term memory, in the official store, where each owner has a namespace of their own.

What a graph calls ``("memories",)`` is stored as ``(<owner>, "memories")``: the same rule for every way to the store,
so that nobody can name another owner's items.

What a run writes there is fenced like its checkpoints: an attempt that is over stores nothing.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

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
    TTLConfig,
)
from langgraph.store.base.batch import AsyncBatchedBaseStore

from deerflow.domain.text import fit
from deerflow.graphs.embedding import Embedding, embedded, texts_of
from deerflow.graphs.gate import Gate
from deerflow.project import Store

_MEANT = re.compile(r"[%.*]")


@dataclass(frozen=True)
class Holder:
    """The attempt that writes: it may as long as *token* is the thread's, and its gate is open."""

    thread_id: str
    token: int
    gate: Gate


@dataclass(frozen=True)
class Batch:
    """What the official store is carrying out, for its subclasses. ``writes``: it is stored whole or not at all.

    ``holder``: whose fence is looked at in the write's transaction; None: nobody's, as the API writes for no run.
    """

    writes: bool = False
    holder: Holder | None = None


_NOTHING = Batch()
carrying_out: ContextVar[Batch] = ContextVar("carrying_out", default=_NOTHING)


def root_of(owner: str) -> str:
    """The label that all namespaces of an owner begin with; every owner has another one.

    A full stop would part labels, and ``*`` stands for any label.
    """
    return _MEANT.sub(lambda found: f"%{ord(found.group()):02X}", owner)


class OfficialStore(Protocol):
    """An official store, as our subclasses make it."""

    index_config: Any
    embedding: Embedding | None
    asked: Store
    """What langgraph.json says of the store."""
    _loop: asyncio.AbstractEventLoop

    async def abatch(self, ops: Iterable[Op]) -> list[Result]: ...  # noqa: D102

    def _prepare_batch_PUT_queries(self, put_ops: Any) -> tuple[Any, Any]: ...  # noqa: N802


class OwnedStore(BaseStore):
    """One owner's view of the store; as light as the owner's name, so every run gets one."""

    supports_ttl = True

    def __init__(self, store: OfficialStore, owner: str, holder: Holder | None = None) -> None:
        self._store, self._root, self._holder = store, root_of(owner), holder
        said = store.asked
        self.ttl_config = TTLConfig(refresh_on_read=said.refresh_on_read, default_ttl=said.default_ttl)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """For sync nodes, from their threads; InvalidStateError on the loop itself, which would wait for itself."""
        asked = list(ops)
        if _on_loop(self._store._loop):
            raise asyncio.InvalidStateError("On the event loop use the store's async methods, e.g. await store.aput()")
        return asyncio.run_coroutine_threadsafe(self.abatch(asked), self._store._loop).result()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """For everybody else."""
        asked = list(ops)
        results = await self._carry_out([self._owned(op) for op in asked])
        return [self._shown(op, result) for op, result in zip(asked, results, strict=True)]

    async def _carry_out(self, owned: list[Op]) -> list[Result]:
        vectors = embedded.set(await self._vectors(owned))
        writes = any(isinstance(op, PutOp) for op in owned)
        marked = carrying_out.set(Batch(writes, self._holder if writes else None))
        try:
            if self._holder is None or not writes:
                return await self._store.abatch(owned)
            return await self._holder.gate.write(lambda: self._store.abatch(owned))
        finally:
            carrying_out.reset(marked)
            embedded.reset(vectors)

    async def _vectors(self, owned: list[Op]) -> dict[str, list[float]]:
        embedding = self._store.embedding
        return {} if embedding is None else await embedding.vectors(texts_of(self._store, owned))

    def _owned(self, op: Op) -> Op:
        if isinstance(op, PutOp):
            return op._replace(namespace=(self._root, *fit(op.namespace)), key=fit(op.key), value=fit(op.value))
        if isinstance(op, GetOp):
            return op._replace(namespace=(self._root, *fit(op.namespace)), key=fit(op.key))
        if isinstance(op, SearchOp):
            return self._owned_search(op)
        if isinstance(op, ListNamespacesOp):
            return self._owned_listing(op)
        return op

    def _owned_search(self, op: SearchOp) -> SearchOp:
        """The official search by meaning looks at the *limit* nearest only, several of which can be one item's."""
        owned = op._replace(namespace_prefix=(self._root, *fit(op.namespace_prefix)), filter=_operators(op.filter))
        if not self._is_by_meaning(op):
            return owned
        return owned._replace(limit=(op.offset + op.limit) * self._fields(), offset=0)

    def _is_by_meaning(self, op: SearchOp) -> bool:
        return bool(op.query) and self._store.index_config is not None

    def _fields(self) -> int:
        return len(self._store.asked.index.fields) if self._store.asked.index else 1

    def _owned_listing(self, op: ListNamespacesOp) -> ListNamespacesOp:
        asked = op.match_conditions or ()
        prefixes = [
            MatchCondition("prefix", (self._root, *fit(condition.path)))
            for condition in asked
            if condition.match_type == "prefix"
        ] or [MatchCondition("prefix", (self._root,))]
        others = [condition for condition in asked if condition.match_type != "prefix"]
        depth = op.max_depth + 1 if op.max_depth is not None else None
        return op._replace(match_conditions=(*prefixes, *others), max_depth=depth)

    def _shown(self, op: Op, result: Result) -> Result:
        if isinstance(result, Item):
            return cast("Item", _without_root(result))
        if isinstance(result, list):
            page = result[op.offset :][: op.limit] if isinstance(op, SearchOp) and self._is_by_meaning(op) else result
            return [entry[1:] if isinstance(entry, tuple) else _without_root(entry) for entry in page]
        return result


def _without_root(item: Any) -> Any:
    """An item as its owner knows it. SQLite tells times without a zone."""
    item.namespace = item.namespace[1:]
    item.created_at, item.updated_at = _aware(item.created_at), _aware(item.updated_at)
    return item


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_ORDERED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
"""Operators that compare numbers with numbers and texts with texts; nothing else is more or less."""


def _operators(asked: dict[str, Any] | None) -> dict[str, Any] | None:
    """A filter where every value is an object of operators; ValueError says what is no filter."""
    return {key: _operator(value) for key, value in asked.items()} if asked else None


def _operator(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not any(str(name).startswith("$") for name in value):
        return {"$eq": value}
    for name, wanted in value.items():
        if name not in {"$eq", "$ne", *_ORDERED}:
            raise ValueError(f"Unsupported operator: {name}; there are: $eq, $ne, {', '.join(_ORDERED)}")
        if name in _ORDERED and (isinstance(wanted, bool) or not isinstance(wanted, int | float | str)):
            raise ValueError(f"{name} compares with a number or a text, not with {wanted!r}")
    return value


def ordered(operator: str) -> str | None:
    """The sign of an operator that compares; None for those that do not."""
    return _ORDERED.get(operator)


def _on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


class Pace:
    """Whether it is time again for what is done every so many minutes; the first time is at once."""

    def __init__(self, minutes: float) -> None:
        self._seconds, self._next = minutes * 60, 0.0

    def is_due(self) -> bool:
        """True once in each while."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


async def end_batching(store: AsyncBatchedBaseStore) -> None:
    """End the store's own task, which would otherwise be destroyed with the loop while it waits."""
    if store._task is not None:
        store._task.cancel()
        await asyncio.gather(store._task, return_exceptions=True)
