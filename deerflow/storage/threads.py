"""Rows of threads. Every read takes the caller; another owner's thread looks like a missing one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain import titles
from deerflow.domain.principal import Principal
from deerflow.domain.threads import StoredHead, Thread, ThreadHead, Ttl, resting_status
from deerflow.domain.words import ThreadStatus, TtlStrategy
from deerflow.errors import Conflict, NotFound
from deerflow.storage import titles as left_titles
from deerflow.storage.database import Tx
from deerflow.storage.models import doomed_threads, runs, threads
from deerflow.storage.scope import scoped, seen_by, within
from deerflow.storage.types import contains, epoch_ms, now

_HIDDEN = {"last_ordinal", "fence", "resting"}
columns = [c for c in threads.c if c.name not in _HIDDEN]
"""What a Thread is made of."""
_NAMES = [c.name for c in columns]


def create(
    tx: Tx,
    principal: Principal,
    thread_id: UUID,
    metadata: dict[str, Any],
    *,
    ttl: Ttl | None = None,
    fence: int | None = None,
) -> Thread:
    """Insert a thread; Conflict when the id is taken, whoever has it, or its namesake is still being removed.

    *fence*: the token of who has written its checkpoints already; None: there are none.
    """
    _require_free(tx, thread_id)
    statement = sa.insert(threads).values(
        thread_id=thread_id,
        owner=principal.user_id,
        status=ThreadStatus.IDLE,
        resting=ThreadStatus.IDLE,
        title=titles.given(metadata),
        metadata=metadata,
        config={},
        last_ordinal=0,
        fence=epoch_ms() if fence is None else fence,
        **_kept_for(ttl),
    )
    try:
        with tx.begin_nested():
            row = tx.execute(statement.returning(*columns)).one()
    except sa.exc.IntegrityError as error:  # another process inserted it between our look and our insert
        raise taken(thread_id) from error
    return record(row)


def _require_free(tx: Tx, thread_id: UUID) -> None:
    """Raise Conflict for an id that is in use, and shut others out who would use it until this transaction ends.

    Two tables have ids, so no constraint keeps one from being in both. SQLite has but one writer.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(thread_id.int % 2**63)))
    in_use = sa.union_all(
        *(sa.select(t.c.thread_id).where(t.c.thread_id == thread_id) for t in (threads, doomed_threads))
    )
    if tx.execute(in_use).first() is not None:
        raise taken(thread_id)


def _kept_for(ttl: Ttl | None) -> dict[str, Any]:
    """The columns of a time to live that begins now."""
    if ttl is None:
        return {}
    return {"ttl_minutes": ttl.minutes, "ttl_strategy": ttl.strategy, "expires_at": now(ttl.minutes * 60.0)}


def taken(thread_id: UUID) -> Conflict:
    """What is told of an id that cannot be given: the same, whoever has or had it, so that it tells nothing more."""
    return Conflict(f"Thread with ID {thread_id} already exists, or was deleted and is still being removed")


def adopt(tx: Tx, heir: str, thread_id: UUID, head: StoredHead) -> bool:
    """Give a thread that has checkpoints but no row to somebody; False when it has a row, or was deleted.

    What only its graph could say of it (values, interrupts) stays unsaid until its next run.
    """
    for known in (threads, doomed_threads):
        if tx.scalar(sa.select(known.c.thread_id).where(known.c.thread_id == thread_id)) is not None:
            return False
    status = ThreadStatus.INTERRUPTED if head.is_interrupted else ThreadStatus.IDLE
    told = {name: head.metadata[name] for name in ("graph_id", "assistant_id") if name in head.metadata}
    times = {"created_at": head.first_at, "updated_at": head.last_at, "state_updated_at": head.last_at}
    row = {
        "thread_id": thread_id,
        "owner": heir,
        "status": status,
        "resting": status,
        "metadata": told,
        "config": {},
        "last_ordinal": 0,
        "fence": epoch_ms(),
        **{name: at for name, at in times.items() if at is not None},
    }
    try:
        with tx.begin_nested():
            tx.execute(sa.insert(threads).values(row))
    except sa.exc.IntegrityError:  # somebody has created it between our look and our insert
        return False
    return True


def without_row(tx: Tx, thread_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these ids that no thread has, neither one that is there nor one that is being removed."""
    found = set(thread_ids)
    for known in (threads, doomed_threads):
        found -= set(tx.scalars(sa.select(known.c.thread_id).where(known.c.thread_id.in_(thread_ids))))
    return found


def get(tx: Tx, principal: Principal, thread_id: UUID) -> Thread:
    """One thread; NotFound when there is none that this caller owns."""
    row = seen_by(tx, principal, _GET, of=thread_id).one_or_none()
    if row is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    return record(row)


_GET = scoped(threads, sa.select(*columns).where(threads.c.thread_id == sa.bindparam("of")))


def see(tx: Tx, principal: Principal, thread_id: UUID) -> bool | None:
    """Whether this caller sees the thread; None when it is there for nobody."""
    return tx.scalar(sa.select(within(principal, threads)).where(threads.c.thread_id == thread_id))


def lock(tx: Tx, principal: Principal, thread_id: UUID) -> tuple[Thread, int]:
    """The thread, held until the transaction ends, and the number of its last run."""
    row = seen_by(tx, principal, _LOCK, of=thread_id).one_or_none()
    if row is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    values = dict(row._mapping)
    ordinal = values.pop("last_ordinal")
    return _thread(values), ordinal


# Statements that every run needs are built once: building one costs several times what SQLite takes to execute it.
_LOCK = scoped(
    threads,
    sa.select(*columns, threads.c.last_ordinal).where(threads.c.thread_id == sa.bindparam("of")).with_for_update(),
)


def take_run(tx: Tx, thread_id: UUID, *, ordinal: int, title: str | None, metadata: dict[str, Any]) -> None:
    """Mark a locked thread as busy with run number *ordinal*; *title* and *metadata* replace what it had."""
    tx.execute(_TAKE_RUN, {"of": thread_id, "number": ordinal, "titled": title, "given": metadata})


_TAKE_RUN = (
    sa.update(threads)
    .where(threads.c.thread_id == sa.bindparam("of"))
    .values(
        status=ThreadStatus.BUSY,
        last_ordinal=sa.bindparam("number"),
        title=sa.bindparam("titled"),
        metadata=sa.bindparam("given"),
        updated_at=now(),
    )
)


def of_assistant(tx: Tx, principal: Principal, assistant_id: UUID, *, limit: int) -> list[UUID]:
    """Some of the caller's threads whose last run was this assistant's."""
    theirs = (within(principal, threads), contains(threads.c.metadata, {"assistant_id": str(assistant_id)}))
    return list(tx.scalars(sa.select(threads.c.thread_id).where(*theirs).limit(limit)))


def change(
    tx: Tx, principal: Principal, thread_id: UUID, metadata: dict[str, Any], *, ttl: Ttl | None = None
) -> Thread:
    """Add to a thread's metadata, key by key, and set how long it is kept (None: as before).

    NotFound when there is no such thread of this caller.
    """
    thread, _ = lock(tx, principal, thread_id)
    changed = {"metadata": {**thread.metadata, **metadata}, **_kept_for(ttl)}
    changed["title"] = titles.given(changed["metadata"]) or thread.title
    statement = sa.update(threads).where(threads.c.thread_id == thread_id).values(**changed, updated_at=now())
    return record(tx.execute(statement.returning(*columns)).one())


def raise_fence(tx: Tx, thread_id: UUID) -> int:
    """A new token for a locked thread: whoever holds an older one may write no checkpoint any more."""
    statement = sa.update(threads).where(threads.c.thread_id == thread_id).values(fence=threads.c.fence + 1)
    token: int = tx.execute(statement.returning(threads.c.fence)).scalar_one()
    return token


def settle_edit(tx: Tx, thread_id: UUID, *, fence: int, head: ThreadHead | None) -> None:
    """Write what an edit has left on its thread (None: no checkpoint), unless a run was claimed meanwhile.

    A run that was will write its own.
    """
    resting = resting_status(head, failed=False)
    left = {"values": head.values, "interrupts": head.interrupts} if head else {"values": None, "interrupts": {}}
    values = {**left, "error": None, "resting": resting}
    tx.execute(
        sa.update(threads)
        .where(threads.c.thread_id == thread_id, threads.c.fence == fence)
        .values(
            **values,
            title=left_titles.TITLE,
            status=sa.case((threads.c.status == ThreadStatus.BUSY, threads.c.status), else_=resting),
            updated_at=now(),
            state_updated_at=now(),
        ),
        left_titles.left_by(tx, thread_id, left["values"]),
    )


def show_head(
    tx: Tx, thread_id: UUID, *, head: ThreadHead | None, rests: ThreadStatus | None, title: str | None
) -> Thread:
    """Write what the newest checkpoint says on a thread that this transaction has created.

    *rests*: its status; None: the one that the head gives it. *title*: where nothing in its metadata is one; None: what
    the head says.
    """
    status = rests or resting_status(head, failed=False)
    left = {} if head is None else {"values": head.values, "interrupts": head.interrupts}
    said = title or titles.of_state(left.get("values")) or titles.of_messages(left.get("values"))
    left["title"] = sa.func.coalesce(threads.c.title, sa.literal(said, sa.Text))
    statement = sa.update(threads).where(threads.c.thread_id == thread_id)
    return record(tx.execute(statement.values(status=status, resting=status, **left).returning(*columns)).one())


def delete(tx: Tx, principal: Principal, thread_id: UUID) -> None:
    """Remove the thread with its runs, and note its checkpoints for the clock to remove."""
    theirs = (threads.c.thread_id == thread_id, within(principal, threads))
    fence = tx.scalar(sa.select(threads.c.fence).where(*theirs).with_for_update())
    if fence is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    _doom(tx, thread_id, fence)


def _doom(tx: Tx, thread_id: UUID, fence: int) -> None:
    newest = sa.case((epoch_ms() > fence, epoch_ms()), else_=fence + 1)
    tx.execute(sa.insert(doomed_threads).values(thread_id=thread_id, fence=newest))
    tx.execute(sa.delete(threads).where(threads.c.thread_id == thread_id))


def discard(tx: Tx, thread_id: UUID) -> None:
    """Remove the thread of a stateless run that has ended; its checkpoints are left to the clock."""
    fence = tx.scalar(sa.select(threads.c.fence).where(threads.c.thread_id == thread_id).with_for_update())
    if fence is not None:
        _doom(tx, thread_id, fence)


@dataclass(frozen=True)
class Expired:
    """What a sweep has found: runs of threads that are gone, threads to be pruned, and how many it has looked at."""

    gone: list[UUID]
    runs_gone: list[UUID]
    to_prune: list[tuple[UUID, int]]
    """With the token of who prunes."""
    looked_at: int


def take_expired(tx: Tx, *, limit: int) -> Expired:
    """Delete threads whose time is over, and take those that only lose their past; at most *limit*.

    ``expires_at`` says when to look. What has happened on a thread since counts from there: it is looked at again
    later, and so is one with a run in flight.
    """
    over = threads.c.updated_at <= now(threads.c.ttl_minutes * -60.0)
    columns = (threads.c.thread_id, threads.c.status, threads.c.ttl_minutes, threads.c.ttl_strategy, threads.c.fence)
    query = sa.select(*columns, threads.c.updated_at, over.label("is_over")).where(threads.c.expires_at <= now())
    query = query.order_by(threads.c.expires_at).limit(limit).with_for_update(skip_locked=True)
    rows, found = tx.execute(query).all(), Expired([], [], [], 0)
    for row in rows:
        if row.status == ThreadStatus.BUSY:
            look_later(tx, row.thread_id)
        elif not row.is_over:
            again = row.updated_at + timedelta(minutes=row.ttl_minutes)
            tx.execute(sa.update(threads).where(threads.c.thread_id == row.thread_id).values(expires_at=again))
        elif row.ttl_strategy == TtlStrategy.KEEP_LATEST:
            found.to_prune.append((row.thread_id, raise_fence(tx, row.thread_id)))
        else:
            found.gone.append(row.thread_id)
            found.runs_gone.extend(tx.scalars(sa.select(runs.c.run_id).where(runs.c.thread_id == row.thread_id)))
            _doom(tx, row.thread_id, row.fence)
    return Expired(found.gone, found.runs_gone, found.to_prune, len(rows))


def look_later(tx: Tx, thread_id: UUID) -> None:
    """The time to live of a thread begins anew."""
    again = now(threads.c.ttl_minutes * 60.0)
    tx.execute(sa.update(threads).where(threads.c.thread_id == thread_id).values(expires_at=again))


def reserve(tx: Tx, thread_id: UUID, *, seconds: float) -> int:
    """Keep an id for a thread whose checkpoints come before its row; the token to write them with.

    If ``redeem`` does not come in time the clock removes what was written. Conflict when the id is taken.
    """
    _require_free(tx, thread_id)
    row = {"thread_id": thread_id, "fence": epoch_ms() + 1, "deleted_at": now(seconds)}
    try:
        with tx.begin_nested():
            fence: int = tx.execute(
                sa.insert(doomed_threads).values(row).returning(doomed_threads.c.fence)
            ).scalar_one()
    except sa.exc.IntegrityError as error:  # another process reserved it between our look and our insert
        raise taken(thread_id) from error
    return fence - 1


def redeem(tx: Tx, thread_id: UUID, *, seconds_left: float) -> bool:
    """Give up a reservation, as its thread is created in this transaction; False when it is too late for that."""
    in_time = doomed_threads.c.deleted_at > now(seconds_left)
    done = tx.execute(sa.delete(doomed_threads).where(doomed_threads.c.thread_id == thread_id, in_time))
    return done.rowcount == 1


def doomed(tx: Tx, *, limit: int) -> list[tuple[UUID, int]]:
    """Deleted threads that still may have checkpoints, with the token that fences their workers off.

    And those that were reserved and never came to be.
    """
    query = sa.select(doomed_threads.c.thread_id, doomed_threads.c.fence).order_by(doomed_threads.c.deleted_at)
    query = query.where(doomed_threads.c.deleted_at <= now())
    return [(row.thread_id, row.fence) for row in tx.execute(query.limit(limit))]


def forget_doomed(tx: Tx, thread_id: UUID, fence: int) -> None:
    """The checkpoints of a deleted thread are gone: its id may be used again.

    *fence*: of that deletion. Another clock may have done it already, and the id have been used and deleted since.
    """
    this = (doomed_threads.c.thread_id == thread_id, doomed_threads.c.fence == fence)
    tx.execute(sa.delete(doomed_threads).where(*this))


def record(row: sa.Row[Any]) -> Thread:
    """The thread that a row of ``columns`` tells of."""
    return _thread(dict(zip(_NAMES, row, strict=True)))


def _thread(values: dict[str, Any]) -> Thread:
    values["status"] = ThreadStatus(values["status"])
    return Thread(**values)
