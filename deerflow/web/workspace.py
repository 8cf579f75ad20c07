"""The workspace: talking with an agent on a thread.

Its page is an island (``static/workspace``) that calls the API of its own origin. The page carries what the island
begins with, and the messages as the last run has left them: all that there is to see without a script.
"""

from functools import cache
from uuid import UUID

import orjson
from flask import Blueprint, Response, current_app, make_response, render_template, request

from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.domain import titles
from deerflow.domain.assistants import AssistantLine, system_assistant_id
from deerflow.domain.ids import parse_id
from deerflow.domain.messages import Message, messages_of
from deerflow.domain.principal import Principal, Proof
from deerflow.domain.threads import Thread
from deerflow.identity import opened, principal, sessions
from deerflow.storage import threads
from deerflow.web import look
from deerflow.web.called import choices
from deerflow.web.compact import Sheet
from deerflow.web.places import STATIC

_OWN = STATIC / "workspace"
_VENDOR = STATIC / "vendor" / "workspace-vendor.js"


def add_to(console: Blueprint) -> None:
    """Add the routes of new threads and of those that are there."""
    console.get("/threads/new", endpoint="threads_new")(new)
    console.get("/threads/<id(thread):thread_id>", endpoint="threads_show")(show)


@requires("threads:read")
def new() -> Response:
    """A thread that begins with its first message; *agent* names whom to talk to, by id or graph."""
    return _page(None, request.args.getlist("agent"))


@requires("threads:read")
def show(thread_id: UUID) -> Response:
    """A thread of the caller's."""
    with opened.backend().db.read() as tx:
        thread = threads.get(tx, principal(), thread_id)
    return _page(thread, _agents_of(thread))


def _page(thread: Thread | None, wanted: list[str]) -> Response:
    backend, caller = opened.backend(), principal()
    found = _agents(backend, caller)
    messages, is_cut = _fitting(messages_of(thread.values if thread else None))
    title = _title(thread) if thread else None
    data = {
        "base": request.script_root,
        "console": f"{request.script_root}/console",
        "thread_id": thread and str(thread.thread_id),
        "title": thread and thread.title,
        "assistant_id": _chosen(found, wanted),
        "agents": [_shown(each) for each in found],
        "user": caller.user_id,
        "csrf": sessions.csrf_token() if caller.proof is Proof.SESSION else None,
        "may_write": caller.may("runs:create"),
        "is_admin": caller.administers,
        "locale": look.language(),
        "time_zone": look.zone(),
        "body_bytes": current_app.config["MAX_CONTENT_LENGTH"],
        "strings": words_of(look.language()),
    }
    facts = {"title": title, "messages": messages, "is_cut": is_cut, "data": data, "thread": thread}
    scripts = modules() if _VENDOR.is_file() else ()
    return make_response(render_template("console/workspace.html", **facts, scripts=scripts))


def _fitting(messages: list[Message]) -> tuple[list[tuple[Message, str]], bool]:
    """As much of the newest messages as a page has place for, each with its words, and whether that is not all."""
    sheet = Sheet()
    shown = [sheet.text(message.shown) for message in reversed(messages)]
    told = [(message, each.text) for message, each in zip(messages, reversed(shown), strict=True) if each.text]
    return told, any(each.is_cut for each in shown)


def _title(thread: Thread) -> str | None:
    """What a thread is called; one from before threads had titles: its first question."""
    return thread.title or titles.given(thread.metadata) or titles.of_messages(thread.values)


def _agents_of(thread: Thread) -> list[str]:
    """Whom a thread goes on with: its last run's assistant, or, if that is gone, the graph's own."""
    named = (thread.metadata.get(name) for name in ("assistant_id", "graph_id"))
    return [each for each in named if isinstance(each, str)]


def _agents(backend: Backend, caller: Principal) -> list[AssistantLine]:
    """Whom the caller can talk to."""
    with backend.db.read() as tx:
        return [each for each in choices(tx, backend, caller) if each.graph_id in backend.project.graphs]


def _chosen(found: list[AssistantLine], wanted: list[str]) -> str | None:
    """The first agent that is there of those that ids or graphs' names mean; when none is named, the first of all."""
    ids = [each.assistant_id for each in found]
    named = [parse_id(each) or system_assistant_id(each) for each in wanted]
    return next((str(each) for each in (named if wanted else ids) if each in ids), None)


def _shown(agent: AssistantLine) -> dict[str, str]:
    names = {"name": agent.name or agent.graph_id, "graph_id": agent.graph_id}
    return {"assistant_id": str(agent.assistant_id), **names, "description": agent.description or ""}


@cache
def modules() -> tuple[str, ...]:
    """All that the island imports, for browsers to fetch at once; in the order of names, the vendor's first."""
    own = sorted(file.name for file in _OWN.glob("*.js") if not file.name.endswith(".test.js"))
    return (f"vendor/{_VENDOR.name}", *(f"workspace/{name}" for name in own))


@cache
def words_of(language: str) -> dict[str, str]:
    """What the island says, by the English text: of all rooms; nothing for English itself."""
    found: dict[str, str] = {}
    for file in sorted((STATIC / "strings").glob(f"*.{language}.json")):
        found |= orjson.loads(file.read_bytes())
    return found
