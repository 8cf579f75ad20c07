"""Assistants on the wire."""

from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.assistants import AssistantSearch, present_assistant
from deerflow.api.wire.shown import AssistantShown
from deerflow.authz import requires
from deerflow.identity import principal
from deerflow.storage import assistants


def blueprint() -> Blueprint:
    """The routes of assistants; made anew for each mount."""
    bp = Blueprint("assistants", __name__, url_prefix="/assistants")
    bp.post("/search")(search_assistants)
    bp.get("/<id(assistant):assistant_id>")(get_assistant)
    return bp


@describes(body=AssistantSearch, answer=list[AssistantShown])
@requires("assistants:read", on=("assistants", "search"))
def search_assistants() -> Response:
    """A page of assistants, newest first; headers say whether there are more."""
    asked = AssistantSearch.read(request)
    with backend().db.read() as tx:
        found = assistants.search(
            tx,
            principal(),
            graph_id=asked.graph_id,
            name=asked.name,
            metadata=asked.metadata,
            limit=asked.limit + 1,
            offset=asked.offset,
        )
    return page_of(found, present_assistant, limit=asked.limit, offset=asked.offset)


@describes(answer=AssistantShown)
@requires("assistants:read")
def get_assistant(assistant_id: UUID) -> Response:
    """One assistant."""
    with backend().db.read() as tx:
        return json(present_assistant(assistants.get(tx, principal(), assistant_id)))
