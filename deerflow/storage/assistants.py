"""Rows of assistants. A caller reads their own and the system's."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from deerflow.domain.assistants import Assistant, system_assistant_id
from deerflow.domain.principal import SYSTEM, Principal
from deerflow.errors import NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import assistants
from deerflow.storage.scope import within


def ensure_system(tx: Tx, graph_id: str, *, description: str | None) -> None:
    """Make sure a graph has its own assistant; harmless when several processes start at once."""
    key = system_assistant_id(graph_id)
    known = tx.execute(sa.select(assistants.c.description).where(assistants.c.assistant_id == key)).one_or_none()
    if known is None:
        row = {
            "assistant_id": key,
            "owner": SYSTEM,
            "graph_id": graph_id,
            "name": graph_id,
            "description": description,
            "config": {},
            "context": {},
            "metadata": {"created_by": "system"},
            "version": 1,
        }
        tx.execute(_insert_ignore(tx, row))
    elif known.description != description:
        tx.execute(sa.update(assistants).where(assistants.c.assistant_id == key).values(description=description))


def tell_context_schema(tx: Tx, graph_id: str, schema: dict[str, Any] | None) -> None:
    """Keep a graph's context schema where the web process, which cannot ask the graph, finds it."""
    key = system_assistant_id(graph_id)
    tx.execute(sa.update(assistants).where(assistants.c.assistant_id == key).values(context_schema=schema))


def get(tx: Tx, principal: Principal, assistant_id: UUID) -> Assistant:
    """One assistant; NotFound when there is none that this caller may see."""
    row = tx.execute(_visible(principal).where(assistants.c.assistant_id == assistant_id)).one_or_none()
    if row is None:
        raise NotFound(f"Assistant with ID {assistant_id} not found")
    return _record(row)


def search(
    tx: Tx,
    principal: Principal,
    *,
    graph_id: str | None = None,
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
    limit: int,
    offset: int,
) -> list[Assistant]:
    """A page of assistants, newest first. *name* matches anywhere, whatever its case; *metadata* must be contained."""
    query = _visible(principal).order_by(assistants.c.created_at.desc(), assistants.c.assistant_id)
    if graph_id is None and name is None and not metadata:
        return [_record(row) for row in tx.execute(query.limit(limit).offset(offset))]
    # Neither containment nor folding of case has a form that SQLite and Postgres share; assistants are few, so it
    # is decided here, where no text that a client may ask for is an error.
    matching = [
        found
        for found in map(_record, tx.execute(query))
        if (graph_id is None or found.graph_id == graph_id)
        and (name is None or name.casefold() in found.name.casefold())
        and (metadata or {}).items() <= found.metadata.items()
    ]
    return matching[offset : offset + limit]


def _visible(principal: Principal) -> sa.Select[Any]:
    return sa.select(assistants).where(within(principal, assistants))


def _insert_ignore(tx: Tx, row: dict[str, Any]) -> sa.Insert:
    if tx.dialect.name == "postgresql":
        return postgresql.insert(assistants).values(row).on_conflict_do_nothing()
    return sa.insert(assistants).prefix_with("OR IGNORE").values(row)


def _record(row: sa.Row[Any]) -> Assistant:
    return Assistant(**row._mapping)
