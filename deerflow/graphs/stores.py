"""Stores: LangGraph's long-term memory, in the official store, where each owner has a namespace of their own.

What a graph calls ``("memories",)`` is stored as ``(<owner>, "memories")``: the same rule for every way to the store,
so that nobody can name another owner's items.
"""

from collections.abc import Iterable

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


class OwnedStore(BaseStore):
    """One owner's view of the store; as light as the owner's name, so every run gets one."""

    supports_ttl = True

    def __init__(self, store: BaseStore, owner: str) -> None:
        self._store, self._owner = store, owner

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """For sync nodes, from their threads."""
        return [self._shown(r) for r in self._store.batch([self._owned(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """For everybody else."""
        return [self._shown(r) for r in await self._store.abatch([self._owned(op) for op in ops])]

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
