"""Adopt: hand over what lies outside of the rows, to whom ``storage.adoptions`` says.

1. Rows that the owner has made since follow the others.
2. Wait, from turn to turn, until no worker acts for the owner any more: its graph would miss its items.
3. Store items change their owner, and threads of which there are but checkpoints get a row.
4. Note that it is done. Killed anywhere before that, the next turn does it again with the same result.
"""

import logging
from collections.abc import Iterator
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.domain.ids import parse_id
from deerflow.domain.threads import StoredHead
from deerflow.storage import adoptions, threads
from deerflow.storage.adoptions import Adoption

log = logging.getLogger(__name__)

_THREADS_A_LOOK = 500


async def finish_adoptions(backend: WorkerBackend) -> None:
    """Finish those adoptions for which it is time."""
    for adoption in await backend.sql(_unfinished, backend):
        if not await backend.sql(_hand_over, backend, adoption):
            continue
        await backend.savers.give_items(adoption.owner, adoption.heir)
        count = await _adopt_checkpoints(backend, adoption.heir)
        await backend.sql(_finish, backend, adoption)
        log.info("All is handed over", extra={"owner": adoption.owner, "heir": adoption.heir, "threads_found": count})


async def _adopt_checkpoints(backend: WorkerBackend, heir: str) -> int:
    """Give threads that have checkpoints but no row to the heir; how many there were."""
    count = 0
    for some in _ids(await backend.savers.thread_ids()):
        for thread_id in await backend.sql(_without_row, backend, some):
            # Only now: a thread that was deleted before we looked for its row has lost its checkpoints by now.
            head = await backend.savers.stored_head(thread_id)
            if head is not None:
                count += await backend.sql(_adopt, backend, heir, thread_id, head)
    return count


def _ids(texts: list[str]) -> Iterator[list[UUID]]:
    """The ids that can be a thread's, some hundred at a time."""
    found = [thread_id for thread_id in map(parse_id, texts) if thread_id is not None]
    if len(found) < len(texts):
        log.warning("Checkpoints whose thread_id is no UUID stay as they are", extra={"count": len(texts) - len(found)})
    for start in range(0, len(found), _THREADS_A_LOOK):
        yield found[start : start + _THREADS_A_LOOK]


def _unfinished(backend: WorkerBackend) -> list[Adoption]:
    with backend.db.read() as tx:
        return adoptions.unfinished(tx)


def _hand_over(backend: WorkerBackend, adoption: Adoption) -> bool:
    with backend.db.begin() as tx:
        return adoptions.hand_over_rest(tx, adoption)


def _without_row(backend: WorkerBackend, thread_ids: list[UUID]) -> set[UUID]:
    with backend.db.read() as tx:
        return threads.without_row(tx, thread_ids)


def _adopt(backend: WorkerBackend, heir: str, thread_id: UUID, head: StoredHead) -> bool:
    with backend.db.begin() as tx:
        return threads.adopt(tx, heir, thread_id, head)


def _finish(backend: WorkerBackend, adoption: Adoption) -> None:
    with backend.db.begin() as tx:
        adoptions.finish(tx, adoption)
