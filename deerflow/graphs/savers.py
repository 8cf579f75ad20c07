"""Savers: the official checkpointers, thinly subclassed so that an attempt that is over can store nothing.

Beside the official tables stand three of ours:

===============  =============================================================================================
``fences``       a thread's token: that of its last claim. Only who holds it may write.
``kept_heads``   checkpoints of others that a run has written to, and of which
``kept_writes``  these are the writes that were there before: a rollback puts them back. A run that answers an
                 interrupt writes onto the checkpoint of the run before; nothing else tells whose row is whose.
===============  =============================================================================================

The token is compared where the write happens, so that no time lies between look and write:

* SQLite: a TEMP trigger on our connection compares it with the token this process holds for the thread;
* Postgres: the write's transaction reads it ``FOR SHARE``, so that the next claim waits for the write or refuses it.

Before any checkpoint the saver waits until the run's log has stored what the step said: a committed step must not
have said something that died with the worker.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from deerflow.domain.threads import StoredHead
from deerflow.graphs import postgres, sqlite
from deerflow.graphs.embedding import Embedding
from deerflow.graphs.gate import Gate
from deerflow.project import Store, StoreIndex


class Savers(Protocol):
    """The checkpoint store of one process."""

    def reader(self) -> BaseCheckpointSaver[Any]:
        """A saver for looking; it belongs to no run."""

    async def for_run(
        self, thread_id: UUID, token: int, gate: Gate, *, run_id: UUID | None = None
    ) -> BaseCheckpointSaver[Any]:
        """The saver of one attempt, from now on the only one that may write to the thread; Fenced when a newer came.

        *run_id*: the run; None for an edit, of which nothing is kept for a rollback.
        """

    async def roll_back(self, thread_id: UUID, token: int, run_id: UUID) -> None:
        """Make the thread's checkpoints what they were before a run; Fenced when *token* is not the thread's.

        One transaction, and the same result when it is done again.
        """

    def store(self, owner: str) -> BaseStore:
        """One owner's view of the long-term store, for looking and for callers of the API."""

    def store_for_run(self, owner: str, thread_id: UUID, token: int, gate: Gate) -> BaseStore:
        """The same for one attempt: what it writes once it is over is refused."""

    async def let_go(self, thread_id: UUID, token: int) -> None:
        """The attempt with that token is over in this process."""

    async def remove_thread(self, thread_id: UUID, token: int) -> None:
        """Delete all that is stored of a thread, and refuse what holders of smaller tokens still write.

        Nothing is deleted where the thread has a newer token: its id was used again, and who asks is too late.
        """

    async def copy_thread(self, source_id: UUID, thread_id: UUID, token: int) -> None:
        """Write all that is stored of a thread for another one as well, whose token this is; Fenced when it is not.

        One transaction on one snapshot, and the same result when it is done again.
        """

    async def prune_thread(self, thread_id: UUID, token: int) -> bool:
        """Delete all checkpoints but the newest of each namespace, which lose their parent; Fenced as above.

        Namespaces of a subgraph's calls go with the checkpoint that the call began from. False, and nothing is
        deleted, for a thread with a ``DeltaChannel``: its newest state is made of older checkpoints.
        """

    async def thread_ids(self) -> list[str]:
        """Every thread that has checkpoints, whatever its id looks like."""

    async def stored_head(self, thread_id: UUID) -> StoredHead | None:
        """What can be told of a thread without its graph; None when it has no checkpoint."""

    async def give_items(self, owner: str, heir: str) -> None:
        """Give the heir all store items of the owner; of two with one name the one that was written last stays.

        One transaction, and harmless when it is done again.
        """

    async def sweep_items(self) -> int:
        """Delete the store items that have expired, when it is time for it again; how many. Nobody sees them anyway."""


@asynccontextmanager
async def open_savers(
    url: str, *, pool: int = 4, store: Store | None = None, embedding: Embedding | None = None
) -> AsyncIterator[Savers]:
    """Open the checkpoint store of a ``sqlite:///`` or ``postgresql://`` URL; *pool* is for Postgres.

    *store*: what langgraph.json says of it; *embedding*: None where nothing is to be found by meaning.
    """
    async with AsyncExitStack() as stack:
        if url.startswith("sqlite:///"):
            opened = sqlite.open_store(url.removeprefix("sqlite:///"), store or Store(), embedding)
            yield await stack.enter_async_context(opened)
        else:
            yield await stack.enter_async_context(postgres.open_store(url, pool, store or Store(), embedding))


async def set_up(url: str, index: StoreIndex | None = None) -> None:
    """Create or migrate the store's tables; run once per release, not by every process.

    *index*: langgraph.json's ``store.index``; ConfigError when this database cannot have one.
    """
    if url.startswith("sqlite:///"):
        await sqlite.set_up(url.removeprefix("sqlite:///"), index)
    else:
        await postgres.set_up(url, index)
