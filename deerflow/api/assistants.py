"""Assistants on the wire."""

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.begin import once
from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.assistants import (
    AssistantCreate,
    AssistantFound,
    AssistantPatch,
    AssistantSearch,
    AssistantShown,
    AssistantWanted,
    Drawing,
    GraphSchemas,
    SubgraphSchemas,
    VersionSearch,
    VersionShown,
    VersionWanted,
    depth_of_drawing,
    present_assistant,
    present_version,
)
from deerflow.api.wire.body import flag
from deerflow.api.wire.queries import AssistantRemoval, DrawingWanted, SubgraphsWanted
from deerflow.authz import require, requires
from deerflow.domain.assistants import Assistant, AssistantSpec, system_assistant_id
from deerflow.domain.ids import new_id, parse_id
from deerflow.errors import Conflict, Invalid, NotFound
from deerflow.identity import principal
from deerflow.runtime import outline
from deerflow.runtime.remove import remove_assistant
from deerflow.storage import assistants
from deerflow.storage.database import Tx

_TAKEN = {409: "The id is taken, or the Idempotency-Key stands for something else."}
_NOT_DRAWN = {400: "The graph cannot be made with this assistant's configuration, or not be looked at."}


def blueprint() -> Blueprint:
    """The routes of assistants; made anew for each mount."""
    bp = Blueprint("assistants", __name__, url_prefix="/assistants")
    bp.post("")(create_assistant)
    bp.post("/search")(search_assistants)
    bp.post("/count")(count_assistants)
    bp.get("/<id(assistant):assistant_id>")(get_assistant)
    bp.patch("/<id(assistant):assistant_id>")(change_assistant)
    bp.delete("/<id(assistant):assistant_id>")(delete_assistant)
    bp.post("/<id(assistant):assistant_id>/versions")(search_versions)
    bp.post("/<id(assistant):assistant_id>/latest")(put_version_in_force)
    bp.get("/<string:assistant_id>/graph")(draw_graph)
    bp.get("/<id(assistant):assistant_id>/schemas")(get_schemas)
    bp.get("/<id(assistant):assistant_id>/subgraphs")(get_subgraphs)
    bp.get("/<id(assistant):assistant_id>/subgraphs/<path:namespace>")(get_subgraph)
    return bp


@describes(
    body=AssistantCreate,
    answer=AssistantShown,
    errors={400: "configurable and context are both given.", 404: "There is no such graph.", **_TAKEN},
)
@requires("assistants:write", on=("assistants", "create"))
def create_assistant() -> Response:
    """Create an assistant of a graph; ``if_exists: do_nothing`` answers the caller's existing one."""
    body = AssistantCreate.read(request)
    spec = body.spec_for(_served(body.graph_id))
    return once(lambda tx: present_assistant(_create(tx, body, spec)), _created_before)


@describes(body=AssistantSearch, answer=list[AssistantFound])
@requires("assistants:read", on=("assistants", "search"))
def search_assistants() -> Response:
    """A page of assistants, newest first unless asked otherwise; headers say whether there are more."""
    asked = AssistantSearch.read(request)
    with backend().db.read() as tx:
        found = assistants.search(
            tx,
            principal(),
            asked.to_filter(),
            sort_by=asked.sort_by or "created_at",
            descending=asked.sort_order != "asc",
            limit=asked.limit + 1,
            offset=asked.offset,
        )
    return page_of(found, asked.shown, limit=asked.limit, offset=asked.offset)


@describes(body=AssistantWanted, answer=int)
@requires("assistants:read", on=("assistants", "search"))
def count_assistants() -> Response:
    """How many assistants there are of a kind."""
    wanted = AssistantWanted.read(request).to_filter()
    with backend().db.read() as tx:
        return json(assistants.count(tx, principal(), wanted))


@describes(answer=AssistantShown)
@requires("assistants:read")
def get_assistant(assistant_id: UUID) -> Response:
    """One assistant."""
    return json(present_assistant(_get(assistant_id)))


@describes(body=AssistantPatch, answer=AssistantShown, errors={400: "configurable and context are both given."})
@requires("assistants:write")
def change_assistant(assistant_id: UUID) -> Response:
    """Make the next version of an assistant and put it in force; metadata are merged."""
    body = AssistantPatch.read(request)
    spec = body.spec_for(body.graph_id and _served(body.graph_id))
    with backend().db.begin() as tx:
        return json(present_assistant(assistants.change(tx, principal(), assistant_id, spec)))


@describes(query=AssistantRemoval, status=204)
@requires("assistants:write", on=("assistants", "delete"))
def delete_assistant(assistant_id: UUID) -> Response:
    """Delete an assistant with its versions and crons; with ``delete_threads`` the caller's threads of it as well."""
    and_threads = flag(request.args.get("delete_threads"))
    if and_threads:
        require("threads:delete")
    remove_assistant(backend(), principal(), assistant_id, and_threads=and_threads, address=request.remote_addr)
    return Response(status=204)


@describes(body=VersionSearch, answer=list[VersionShown])
@requires("assistants:read")
def search_versions(assistant_id: UUID) -> Response:
    """A page of an assistant's versions, newest first; headers say whether there are more."""
    asked = VersionSearch.read(request)
    page = {"limit": asked.limit + 1, "offset": asked.offset}
    with backend().db.read() as tx:
        found = assistants.versions(tx, principal(), assistant_id, metadata=asked.metadata, **page)
    return page_of(found, present_version, limit=asked.limit, offset=asked.offset)


@describes(body=VersionWanted, answer=AssistantShown)
@requires("assistants:write")
def put_version_in_force(assistant_id: UUID) -> Response:
    """Put an earlier version of an assistant in force; the next change still gets a number of its own."""
    body = VersionWanted.read(request)
    with backend().db.begin() as tx:
        return json(present_assistant(assistants.put_in_force(tx, principal(), assistant_id, body.version)))


@describes(query=DrawingWanted, answer=Drawing, errors=_NOT_DRAWN)
@requires("assistants:read")
def draw_graph(assistant_id: str) -> Response:
    """The nodes and edges of an assistant's graph, or of a graph by its name; ``xray`` draws subgraphs as well."""
    depth = depth_of_drawing(request.args.get("xray"))
    return json(outline.drawing(backend(), principal(), _get(_id_or_graph(assistant_id)), xray=depth))


@describes(answer=GraphSchemas, errors=_NOT_DRAWN)
@requires("assistants:read")
def get_schemas(assistant_id: UUID) -> Response:
    """What an assistant's graph takes, keeps and gives, as JSON schemas."""
    return json(outline.schemas(backend(), principal(), _get(assistant_id)))


@describes(query=SubgraphsWanted, answer=dict[str, SubgraphSchemas], errors=_NOT_DRAWN)
@requires("assistants:read")
def get_subgraphs(assistant_id: UUID) -> Response:
    """The schemas of the graphs within an assistant's graph, by namespace; ``recurse``: of those within them, too."""
    return _subgraphs(assistant_id, None)


@describes(query=SubgraphsWanted, answer=dict[str, SubgraphSchemas], errors=_NOT_DRAWN)
@requires("assistants:read")
def get_subgraph(assistant_id: UUID, namespace: str) -> Response:
    """The same of one namespace (``outer|inner`` with ``recurse``); empty when there is none."""
    return _subgraphs(assistant_id, namespace)


def _subgraphs(assistant_id: UUID, namespace: str | None) -> Response:
    recurse = flag(request.args.get("recurse"))
    found = outline.subgraphs(backend(), principal(), _get(assistant_id), namespace=namespace, recurse=recurse)
    return json(found)


def _get(assistant_id: UUID) -> Assistant:
    with backend().db.read() as tx:
        return assistants.get(tx, principal(), assistant_id)


def _id_or_graph(named: str) -> UUID:
    if named in backend().project.graphs:
        return system_assistant_id(named)
    found = parse_id(named)
    if found is None:
        raise Invalid("Invalid assistant ID: must be a UUID, or the name of a graph")
    return found


def _served(graph_id: str) -> str:
    graphs = backend().project.graphs
    if graph_id not in graphs:
        raise NotFound(f"Graph '{graph_id}' not found. Expected one of: {sorted(graphs)}")
    return graph_id


def _create(tx: Tx, body: AssistantCreate, spec: AssistantSpec) -> Assistant:
    assistant_id = body.assistant_id or new_id()
    try:
        return assistants.create(tx, principal(), assistant_id, spec)
    except Conflict:
        if body.if_exists != "do_nothing":
            raise
    try:
        return assistants.get(tx, principal(), assistant_id)
    except NotFound:  # a stranger's id stays taken
        raise assistants.taken(assistant_id) from None


def _created_before(tx: Tx, shown: dict[str, Any]) -> dict[str, Any]:
    """The assistant as it is now, or as it was first told when it has gone since."""
    try:
        return present_assistant(assistants.get(tx, principal(), UUID(shown["assistant_id"])))
    except NotFound:
        return shown
