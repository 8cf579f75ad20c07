"""The clock's look at crons: create the runs that are due, each once.

1. Look which crons are due, without a lock.
2. One by one, in one transaction: move the cron ahead where nobody else has (an UPDATE whose row count says so), and
   create its run as every run is created. Killed before the commit, the next tick does both; after it the run is a
   row, and when its ring is lost the reaper rings.
3. Ring.

A run that is refused (its thread is full, or busy and the strategy is reject) stays away until the next time.
"""

import logging
import time
from dataclasses import replace
from uuid import UUID, uuid4

from deerflow.backend import Backend
from deerflow.domain.crons import Cron
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.runs import RunSpec
from deerflow.errors import DeerflowError, Unavailable
from deerflow.runtime.submit import Admitted, admit_run, set_going
from deerflow.storage import crons, users
from deerflow.storage.crons import Due
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_MOST = 100
_LONGEST_SECONDS = 0.8
"""A tick ends before the next one begins; what is left over is due then."""
_ACTS = frozenset({"runs:create"})


def tick(backend: Backend) -> None:
    """Create the runs of crons that are due; several clocks do no harm."""
    end = time.monotonic() + _LONGEST_SECONDS
    with backend.db.read() as tx:
        found = crons.due(tx, limit=_MOST)
    for each in found:
        if time.monotonic() > end:
            return
        _fire(backend, each)


def _fire(backend: Backend, due: Due) -> None:
    try:
        with backend.db.begin() as tx:
            cron = crons.take(tx, due)
            admitted = None if cron is None else _create_run(tx, backend, cron)
    except Unavailable:
        raise
    except Exception:  # whatever is wrong with one cron, the others are due too
        log.exception("Cron failed", extra={"cron_id": due.cron_id})
        with backend.db.begin() as tx:
            crons.take(tx, due)
        return
    if cron is not None and admitted is not None:
        log.info("Cron fired", extra={"cron_id": cron.cron_id, "run_id": admitted.run.run_id, "due_at": due.at})
        set_going(backend, admitted)


def _create_run(tx: Tx, backend: Backend, cron: Cron) -> Admitted | None:
    """The cron's run, as its creator would create it; None when that is refused."""
    facts = {"cron_id": cron.cron_id, "owner": cron.owner}
    if not _may_act(tx, cron.owner):
        log.info("Cron passed over: its owner's account is disabled", extra=facts)
        return None
    creator = Principal(cron.owner, _ACTS, user=cron.user)
    try:
        with tx.begin_nested():
            return admit_run(tx, backend, creator, _spec(cron), cron.thread_id or new_id())
    except Unavailable:
        raise
    except DeerflowError as error:
        log.warning("Cron's run refused", extra={**facts, "reason": str(error)})
        return None


def _spec(cron: Cron) -> RunSpec:
    """What is asked for, with the cron's name where a run can be found by it and where its graph reads it."""
    name = {"cron_id": str(cron.cron_id)}
    request = {**name, "langgraph_request_id": str(uuid4())}
    return replace(cron.spec, metadata={**cron.spec.metadata, **name}, request=request)


def _may_act(tx: Tx, owner: str) -> bool:
    """Whether the account behind an owner is there and not disabled; owners of other kinds have none."""
    user_id: UUID | None = parse_id(owner)
    return user_id is None or user_id in users.enabled(tx, [user_id])
