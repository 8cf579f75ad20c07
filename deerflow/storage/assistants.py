"""Rows of assistants and of their versions. A caller reads their own and the system's, and changes their own."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from deerflow.domain.assistants import (
    Assistant,
    AssistantFilter,
    AssistantLine,
    AssistantSpec,
    AssistantVersion,
    first_content,
    next_content,
    require_change,
    require_removable,
    system_assistant_id,
)
from deerflow.domain.principal import SYSTEM, Principal
from deerflow.errors import Conflict, NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import assistant_versions, assistants
from deerflow.storage.scope import within
from deerflow.storage.types import contains, now

_CONTENT = ("graph_id", "name", "description", "config", "context", "metadata")
"""What differs between versions."""
_ANY = AssistantFilter()
_BEGINNING = 400
"""So many characters of a description are enough to choose by."""


def ensure_system(tx: Tx, described: Mapping[str, str | None]) -> None:
    """Make sure each graph has its own assistant; harmless when several processes start at once.

    *described* is what langgraph.json says of each graph, by its id. The first version follows it; what an
    administrator has made of it since is left alone.
    """
    rows = [
        {
            "assistant_id": system_assistant_id(graph_id),
            "owner": SYSTEM,
            "graph_id": graph_id,
            "name": graph_id,
            "description": description,
            "config": {},
            "context": {},
            "metadata": {"created_by": "system"},
            "version": 1,
        }
        for graph_id, description in described.items()
    ]
    if not rows:
        return
    said = [{"key": row["assistant_id"], "said": row["description"]} for row in rows]
    # An older release, which may still run beside this one, makes assistants without versions.
    for table in (assistants, assistant_versions):
        tx.execute(_insert_ignore(tx, table), rows)
        of_it, new = table.c.assistant_id == sa.bindparam("key"), sa.bindparam("said", type_=sa.Text)
        is_other = (table.c.version == 1, table.c.description.is_distinct_from(new))
        tx.execute(sa.update(table).where(of_it, *is_other).values(description=new), said)


def tell_context_schema(tx: Tx, graph_id: str, schema: dict[str, Any] | None) -> None:
    """Keep a graph's context schema where the web process, which cannot ask the graph, finds it."""
    key = system_assistant_id(graph_id)
    tx.execute(sa.update(assistants).where(assistants.c.assistant_id == key).values(context_schema=schema))


def context_schema(tx: Tx, graph_id: str) -> dict[str, Any] | None:
    """The schema of the contexts that a graph takes; None while, or as, nothing is known of it."""
    key = system_assistant_id(graph_id)
    return tx.scalar(sa.select(assistants.c.context_schema).where(assistants.c.assistant_id == key))


def create(tx: Tx, principal: Principal, assistant_id: UUID, spec: AssistantSpec) -> Assistant:
    """Insert an assistant and its first version; Conflict when the id is taken, whoever has it."""
    row = {**first_content(spec), "assistant_id": assistant_id, "owner": principal.user_id, "version": 1}
    try:
        with tx.begin_nested():
            made = _record(tx.execute(sa.insert(assistants).values(row).returning(*assistants.c)).one())
    except sa.exc.IntegrityError as error:
        raise taken(assistant_id) from error
    tx.execute(sa.insert(assistant_versions).values(**row, created_at=made.created_at))
    return made


def taken(assistant_id: UUID) -> Conflict:
    """What is told of an id that cannot be given, whoever has it."""
    return Conflict(f"Assistant {assistant_id} already exists")


def get(tx: Tx, principal: Principal, assistant_id: UUID) -> Assistant:
    """One assistant; NotFound when there is none that this caller may see."""
    return _found(tx, principal, assistant_id, sa.select(assistants))


def lock(tx: Tx, principal: Principal, assistant_id: UUID) -> Assistant:
    """The same, held until the transaction ends."""
    return _found(tx, principal, assistant_id, sa.select(assistants).with_for_update())


def change(tx: Tx, principal: Principal, assistant_id: UUID, said: AssistantSpec) -> Assistant:
    """Make the next version of an assistant, whichever is in force, and put it in force.

    Raises NotFound, Forbidden (a system assistant).
    """
    before = lock(tx, principal, assistant_id)
    require_change(before, principal, said.graph_id)
    of_it = assistant_versions.c.assistant_id == assistant_id
    newest = tx.scalar(sa.select(sa.func.max(assistant_versions.c.version)).where(of_it))
    version = max(newest or 0, before.version) + 1
    after = _put(tx, assistant_id, version, next_content(before, said))
    row = {name: getattr(after, name) for name in _CONTENT}
    ids = {"assistant_id": assistant_id, "owner": after.owner, "version": version}
    tx.execute(sa.insert(assistant_versions).values(**ids, **row, created_at=after.updated_at))
    return after


def put_in_force(tx: Tx, principal: Principal, assistant_id: UUID, version: int) -> Assistant:
    """Let an assistant be again what it was in one of its versions. Raises NotFound, Forbidden (a system assistant)."""
    require_change(lock(tx, principal, assistant_id), principal, None)
    columns = [assistant_versions.c[name] for name in _CONTENT]
    named = (assistant_versions.c.assistant_id == assistant_id, assistant_versions.c.version == version)
    row = tx.execute(sa.select(*columns).where(*named)).one_or_none()
    if row is None:
        raise NotFound(f"Version {version} not found for assistant {assistant_id}")
    return _put(tx, assistant_id, version, dict(row._mapping))


def delete(tx: Tx, principal: Principal, assistant_id: UUID) -> None:
    """Remove an assistant with its versions and crons; its runs stay.

    Raises NotFound, Forbidden (a system assistant).
    """
    require_removable(lock(tx, principal, assistant_id))
    tx.execute(sa.delete(assistants).where(assistants.c.assistant_id == assistant_id))


def search(
    tx: Tx,
    principal: Principal,
    wanted: AssistantFilter = _ANY,
    *,
    sort_by: str = "created_at",
    descending: bool = True,
    limit: int,
    offset: int,
) -> list[Assistant]:
    """A page of assistants; *sort_by* is a column, equal ones come in the order of their ids."""
    order = [_comparable(tx, assistants.c[name]) for name in (sort_by, "assistant_id")]
    query = _wanted(principal, wanted).order_by(*((column.desc() for column in order) if descending else order))
    if wanted.name is None:
        return [_record(row) for row in tx.execute(query.limit(limit).offset(offset))]
    page = _named(tx, query, wanted.name)[offset : offset + limit]
    rows = tx.execute(sa.select(assistants).where(within(principal, assistants), assistants.c.assistant_id.in_(page)))
    found = {row.assistant_id: _record(row) for row in rows}
    return [found[assistant_id] for assistant_id in page if assistant_id in found]


def count(tx: Tx, principal: Principal, wanted: AssistantFilter) -> int:
    """How many assistants of a kind this caller sees."""
    query = _wanted(principal, wanted)
    if wanted.name is not None:
        return len(_named(tx, query, wanted.name))
    return tx.execute(query.with_only_columns(sa.func.count())).scalar_one()


def lines(tx: Tx, principal: Principal, *, limit: int) -> list[AssistantLine]:
    """The assistants that a caller sees, by name; the system's first, so that none of them is cut off."""
    beginning = sa.func.substr(assistants.c.description, 1, _BEGINNING).label("description")
    query = sa.select(assistants.c.assistant_id, assistants.c.graph_id, assistants.c.name, beginning)
    order = (assistants.c.owner != SYSTEM, _comparable(tx, assistants.c.name), assistants.c.assistant_id)
    rows = tx.execute(query.where(within(principal, assistants)).order_by(*order).limit(limit))
    return [AssistantLine(**row._mapping) for row in rows]


def names_of(tx: Tx, principal: Principal, assistant_ids: Collection[UUID]) -> dict[UUID, str]:
    """What these assistants are called, as far as the caller may see them."""
    if not assistant_ids:
        return {}
    theirs = (within(principal, assistants), assistants.c.assistant_id.in_(assistant_ids))
    rows = tx.execute(sa.select(assistants.c.assistant_id, assistants.c.name).where(*theirs))
    return {row.assistant_id: row.name for row in rows}


def versions(
    tx: Tx, principal: Principal, assistant_id: UUID, *, metadata: dict[str, Any] | None, limit: int, offset: int
) -> list[AssistantVersion]:
    """A page of what an assistant was, newest first; NotFound when the caller may not see the assistant."""
    get(tx, principal, assistant_id)
    of_it = [assistant_versions.c.assistant_id == assistant_id]
    if metadata:
        of_it.append(contains(assistant_versions.c.metadata, metadata))
    query = sa.select(assistant_versions).where(*of_it).order_by(assistant_versions.c.version.desc())
    return [AssistantVersion(**row._mapping) for row in tx.execute(query.limit(limit).offset(offset))]


def _found(tx: Tx, principal: Principal, assistant_id: UUID, query: sa.Select[Any]) -> Assistant:
    theirs = (within(principal, assistants), assistants.c.assistant_id == assistant_id)
    row = tx.execute(query.where(*theirs)).one_or_none()
    if row is None:
        raise NotFound(f"Assistant with ID {assistant_id} not found")
    return _record(row)


def _put(tx: Tx, assistant_id: UUID, version: int, content: dict[str, Any]) -> Assistant:
    statement = sa.update(assistants).where(assistants.c.assistant_id == assistant_id)
    statement = statement.values(**content, version=version, updated_at=now())
    return _record(tx.execute(statement.returning(*assistants.c)).one())


def _wanted(principal: Principal, wanted: AssistantFilter) -> sa.Select[Any]:
    """The assistants that are looked for, but for their name."""
    query = sa.select(assistants).where(within(principal, assistants))
    if wanted.graph_id is not None:
        query = query.where(assistants.c.graph_id == wanted.graph_id)
    return query.where(contains(assistants.c.metadata, wanted.metadata)) if wanted.metadata else query


def _named(tx: Tx, query: sa.Select[Any], name: str) -> list[UUID]:
    """The ids of those whose name has *name* in it. Folding of case has no form that both databases share."""
    rows = tx.execute(query.with_only_columns(assistants.c.assistant_id, assistants.c.name))
    return [row.assistant_id for row in rows if name.casefold() in row.name.casefold()]


def _comparable(tx: Tx, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column that both databases sort alike: texts by their code points, as Postgres does when it is told to."""
    is_text = isinstance(column.type, sa.Text) and tx.dialect.name == "postgresql"
    return sa.collate(column, "C") if is_text else column


def _insert_ignore(tx: Tx, table: sa.Table) -> sa.Insert:
    if tx.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sa.insert(table).prefix_with("OR IGNORE")


def _record(row: sa.Row[Any]) -> Assistant:
    return Assistant(**row._mapping)
