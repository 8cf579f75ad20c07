"""Agents: the list of assistants, the page of one with its graph, schemas and versions, and what changes them."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import gettext as _

from deerflow.authz import require, requires, stamped
from deerflow.backend import Backend
from deerflow.domain.assistants import Assistant, AssistantFilter, AssistantSpec, AssistantVersion, may_change
from deerflow.domain.ids import new_id
from deerflow.domain.principal import SYSTEM, Principal
from deerflow.errors import BadRequest, HandlerRefused, Invalid, Unavailable
from deerflow.identity import opened, principal
from deerflow.runtime import outline
from deerflow.runtime.remove import remove_assistant
from deerflow.storage import assistants
from deerflow.web.agent_form import AgentForm, filled, spec_of
from deerflow.web.compact import Sheet, pretty
from deerflow.web.differences import Change, changes
from deerflow.web.drawing import draw
from deerflow.web.forms import wrong_token
from deerflow.web.pager import pager
from deerflow.web.places import lead
from deerflow.web.schemas import fields
from deerflow.web.told import told as in_full

_CARDS = 24
_VERSIONS = 20
_SCHEMAS = ("input_schema", "output_schema", "state_schema", "context_schema")
_MOST_DIGITS = 9


def add_to(console: Blueprint) -> None:
    """Add the pages' routes."""
    one = "/agents/<id(assistant):assistant_id>"
    console.get("/agents", endpoint="agents")(listed)
    console.get("/agents/new", endpoint="agents_new")(new)
    console.post("/agents/new", endpoint="agents_create")(create)
    console.get(one, endpoint="agents_one")(show)
    console.get(f"{one}/edit", endpoint="agents_edit")(edit)
    console.post(f"{one}/edit", endpoint="agents_change")(change)
    console.post(f"{one}/version", endpoint="agents_version")(set_back)
    console.post(f"{one}/delete", endpoint="agents_delete")(delete)


@requires("assistants:read", on=("assistants", "search"))
def listed() -> Response:
    """A page of agents, by name or as far as it has a text in it."""
    backend, caller, text = opened.backend(), principal(), request.args.get("q", "").strip()
    wanted = AssistantFilter(name=text or None)
    with backend.db.read() as tx:
        part = pager(assistants.count(tx, caller, wanted), size=_CARDS)
        page = {"sort_by": "name", "descending": False, "limit": part.size, "offset": part.offset}
        found = assistants.search(tx, caller, wanted, **page)  # type: ignore[arg-type]
    return make_response(
        render_template("console/agents.html", agents=found, page=part, text=text, system=SYSTEM, told="", done=_done())
    )


@requires("assistants:read")
def show(assistant_id: UUID) -> Response:
    """One agent."""
    backend, caller = opened.backend(), principal()
    with backend.db.read() as tx:
        agent = assistants.get(tx, caller, assistant_id)
        known = assistants.versions(tx, caller, assistant_id, metadata=None, limit=_VERSIONS + 1, offset=0)
    is_deep = request.args.get("inside") == "1"
    return make_response(
        render_template(
            "console/agent.html",
            agent=agent,
            is_system=agent.owner == SYSTEM,
            may_change=caller.may("assistants:write") and may_change(agent, caller),
            is_served=agent.graph_id in backend.project.graphs,
            is_deep=is_deep,
            versions=_with_changes(known),
            pretty=pretty,
            sheet=Sheet(),
            done=_done(),
            **_outline(backend, caller, agent, is_deep=is_deep),
        )
    )


@requires("assistants:write", on=("assistants", "create"))
def new() -> Response:
    """The form of a new agent."""
    graphs = list(opened.backend().project.graphs)
    return _form(filled(None, graphs, request.args.get("graph")), None)


@requires("assistants:write", on=("assistants", "create"))
def create() -> Response:
    """Make an agent."""
    backend, caller = opened.backend(), principal()
    form = filled(None, list(backend.project.graphs))
    if not form.validate_on_submit():
        return _form(form, None)
    spec = spec_of(form, None)
    if (spec.config or {}).get("configurable") and spec.context:
        return _form(_both(form), None)
    with backend.db.begin() as tx:
        made = assistants.create(tx, caller, new_id(), _stamped(spec))
    return lead(f"/console/agents/{made.assistant_id}?done=made")


@requires("assistants:write")
def edit(assistant_id: UUID) -> Response:
    """The form that changes an agent."""
    agent = _get(assistant_id)
    return _form(filled(agent, list(opened.backend().project.graphs)), agent)


@requires("assistants:write")
def change(assistant_id: UUID) -> Response:
    """Make the next version of an agent."""
    backend, caller, agent = opened.backend(), principal(), _get(assistant_id)
    form = filled(agent, list(backend.project.graphs))
    if not form.validate_on_submit():
        return _form(form, agent)
    spec = spec_of(form, agent)
    if (spec.config or {}).get("configurable") and spec.context:
        return _form(_both(form), agent)
    if spec.config == {}:
        form.config.errors = [_("An empty config changes nothing: leave at least one key.")]
        return _form(form, agent)
    with backend.db.begin() as tx:
        assistants.change(tx, caller, assistant_id, _stamped(spec))
    return lead(f"/console/agents/{assistant_id}?done=changed")


@requires("assistants:write")
def set_back(assistant_id: UUID) -> Response:
    """Put an earlier version in force."""
    _get(assistant_id)
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise Invalid("version: must be a whole number")
    with opened.backend().db.begin() as tx:
        assistants.put_in_force(tx, principal(), assistant_id, int(text))
    return lead(f"/console/agents/{assistant_id}?done=set-back")


@requires("assistants:write", on=("assistants", "delete"))
def delete(assistant_id: UUID) -> Response:
    """Delete an agent, and its threads where that is wanted."""
    and_threads = request.form.get("threads") == "1"
    if and_threads:
        require("threads:delete")
    remove_assistant(opened.backend(), principal(), assistant_id, and_threads=and_threads, address=request.remote_addr)
    return lead("/console/agents?done=deleted")


def _get(assistant_id: UUID) -> Assistant:
    with opened.backend().db.read() as tx:
        return assistants.get(tx, principal(), assistant_id)


def _form(form: AgentForm, agent: Assistant | None) -> Response:
    is_system = agent is not None and agent.owner == SYSTEM
    return make_response(
        render_template("console/agent_form.html", form=form, agent=agent, is_system=is_system, told=wrong_token(form))
    )


def _stamped(spec: AssistantSpec) -> AssistantSpec:
    """The same with what the project's handlers want it to be found by."""
    return replace(spec, metadata={**spec.metadata, **stamped(request)})


def _both(form: AgentForm) -> AgentForm:
    form.context.errors = [
        *form.context.errors,
        _("Say it in the context or in the config's configurable, not in both: each stands for the other."),
    ]
    return form


def _done() -> str | None:
    """What has just been done, in words."""
    words = {
        "made": _("The agent is made."),
        "changed": _("The change is saved as a new version."),
        "set-back": _("That version is in force again."),
        "deleted": _("The agent is deleted."),
    }
    return words.get(request.args.get("done", ""))


def _with_changes(known: list[AssistantVersion]) -> list[tuple[AssistantVersion, list[Change]]]:
    """The newest versions, each with what it has changed."""
    before = [*known[1:], None]
    return [(each, changes(earlier, each)) for each, earlier in zip(known, before, strict=True)][:_VERSIONS]


def _outline(backend: Backend, caller: Principal, agent: Assistant, *, is_deep: bool) -> dict[str, Any]:
    """The drawing and the schemas of an agent's graph; or why there are none now."""
    try:
        if not outline.is_told(backend):
            return {"drawing": None, "schemas": {}, "why": _("No state worker is running.")}
        drawing = draw(outline.drawing(backend, caller, agent, xray=is_deep))
        told = outline.schemas(backend, caller, agent)
    except (BadRequest, HandlerRefused, Invalid, Unavailable) as error:
        return {"drawing": None, "schemas": {}, "why": in_full(error)}
    schemas = {name: (told[name], fields(told[name])) for name in _SCHEMAS if told.get(name)}
    return {"drawing": drawing, "schemas": schemas, "why": ""}
