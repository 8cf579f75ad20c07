"""How what a run or an edit leaves changes the title of its thread."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain import titles
from deerflow.storage.database import Tx
from deerflow.storage.models import threads

_titled = sa.bindparam("titled", type_=sa.Text)

TITLE = sa.case((sa.bindparam("is_named", type_=sa.Boolean), _titled), else_=sa.func.coalesce(threads.c.title, _titled))
"""The column's new value; ``left_by`` has its parameters."""


def left_by(tx: Tx, thread_id: UUID, values: Any) -> dict[str, Any]:
    """The parameters of ``TITLE`` for a thread that this transaction has locked, and whose state these values are.

    A name that the graph has found replaces a question, but no name that somebody gave. Only then is the row read.
    """
    named = titles.of_state(values)
    if named is None:
        return {"titled": titles.of_messages(values), "is_named": False}
    metadata = tx.scalar(_METADATA, {"of_thread": thread_id}) or {}
    return {"titled": named, "is_named": titles.given(metadata) is None}


_METADATA = sa.select(threads.c.metadata).where(threads.c.thread_id == sa.bindparam("of_thread"))
