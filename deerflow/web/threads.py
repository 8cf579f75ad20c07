"""The list of threads: who looks for one, and what can be done to one or several of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, make_response, render_template, request, send_file
from flask_babel import gettext as _

from deerflow.authz import granted, require, requires
from deerflow.domain import titles
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.text import fit
from deerflow.domain.threads import Thread, ThreadFilter, ThreadLine
from deerflow.domain.words import ThreadStatus
from deerflow.errors import Invalid
from deerflow.identity import opened, principal
from deerflow.runtime import build, prune
from deerflow.runtime.newest import newest_values
from deerflow.runtime.remove import remove_thread
from deerflow.storage import thread_lines, thread_search, threads
from deerflow.web import transcript
from deerflow.web.called import agent_of, choices
from deerflow.web.pager import SIZE, pager
from deerflow.web.places import lead, page_place
from deerflow.web.start import start_facts
from deerflow.web.statuses import THREAD_WORDS, Word, thread_word

_LONGEST_WANTED = 200
_STATUSES: dict[str, dict[str, Any]] = {
    "running": {"status": ThreadStatus.BUSY},
    "needs-approval": {"status": ThreadStatus.INTERRUPTED, "asks": True},
    "stopped": {"status": ThreadStatus.INTERRUPTED, "asks": False},
    "failed": {"status": ThreadStatus.ERROR},
    "idle": {"status": ThreadStatus.IDLE},
}


def add_to(console: Blueprint) -> None:
    """Add the routes of the list, and of what is done from there."""
    console.get("/threads", endpoint="threads")(show)
    console.post("/threads/delete", endpoint="threads_delete_several")(delete_several)
    console.post("/threads/export", endpoint="threads_export_several")(export_several)
    one = "/threads/<id(thread):thread_id>"
    console.post(f"{one}/rename", endpoint="threads_rename")(rename)
    console.post(f"{one}/copy", endpoint="threads_copy")(copy)
    console.post(f"{one}/delete", endpoint="threads_delete")(delete)
    console.get(f"{one}/export.json", endpoint="threads_json")(export_json)
    console.get(f"{one}/export.md", endpoint="threads_markdown")(export_markdown)


@dataclass(frozen=True)
class Wanted:
    """What the address asks for. ``wrong``: what cannot be read of it."""

    filter: ThreadFilter
    query: dict[str, str]
    wrong: str | None = None


@dataclass(frozen=True)
class Shown:
    """A line of the list in the reader's words."""

    line: ThreadLine
    title: str
    is_untitled: bool
    agent: str
    word: Word


@requires("threads:read", on=("threads", "search"))
def show() -> Response:
    """The caller's threads, last changed first."""
    wanted, agents = _wanted(), _agents()
    with opened.backend().db.read() as tx:
        total = 0 if wanted.wrong else thread_search.count(tx, principal(), wanted.filter)
        page = pager(total)
        lines = thread_lines.page(tx, principal(), wanted.filter, limit=page.size, offset=page.offset) if total else []
    facts = {
        "page": page,
        "lines": [_shown(line, agents) for line in lines],
        "agents": agents,
        "words": THREAD_WORDS,
        "wanted": wanted.query,
        "wrong": wanted.wrong,
        "back": page.at(page.number).removeprefix(request.script_root),
    }
    if not total and not wanted.query:
        facts |= start_facts()
    return make_response(render_template("console/threads.html", **facts))


@requires("threads:write")
def rename(thread_id: UUID) -> Response:
    """Give a thread a name, where API clients see it, too."""
    title = titles.line(request.form.get("title"))
    with opened.backend().db.begin() as tx:
        threads.get(tx, principal(), thread_id)
        if title is None:
            raise Invalid(_("A name needs at least one letter"))
        threads.change(tx, principal(), thread_id, {"title": title})
    return _back()


@requires("threads:write", on=("threads", "create"))
def copy(thread_id: UUID) -> Response:
    """Copy a thread with its checkpoints, and open the copy."""
    require("threads:read")  # the source; from here on a filter of the project's handlers is that for reading
    backend = opened.backend()
    with backend.db.read() as tx:
        source = threads.get(tx, principal(), thread_id)
    built = build.copy_thread(backend, principal(), source, new_id())
    with backend.db.begin() as tx:
        made = build.settle(tx, principal(), built)
    return lead(f"/console/threads/{made.thread_id}")


@requires("threads:delete")
def delete(thread_id: UUID) -> Response:
    """Delete a thread with its runs and checkpoints."""
    remove_thread(opened.backend(), principal(), thread_id, address=request.remote_addr)
    return _back()


@requires("threads:delete", shown=lambda _none: {**_named(), "strategy": "delete"})
def delete_several() -> Response:
    """Delete those of the ticked threads that are there and the caller's."""
    prune.delete_threads(opened.backend(), principal(), _ticked(), address=request.remote_addr)
    return _back()


@requires("threads:read", shown=lambda _none: _named())
def export_several() -> Response:
    """The ticked threads in one file."""
    backend, ticked = opened.backend(), _ticked()
    with backend.db.read() as tx:
        found = thread_search.search(
            tx,
            principal(),
            ThreadFilter(ids=tuple(ticked)),
            sort_by="updated_at",
            descending=True,
            limit=len(ticked),
            offset=0,
        )
    agents = _agents()
    return _file(_json([_told(thread, agents) for thread in found]), "threads.json", "application/json")


@requires("threads:read")
def export_json(thread_id: UUID) -> Response:
    """A thread with its newest values."""
    thread = _thread(thread_id)
    name = transcript.file_name(thread.title or "", "json", of=str(thread_id))
    return _file(_json(_told(thread, _agents())), name, "application/json")


@requires("threads:read")
def export_markdown(thread_id: UUID) -> Response:
    """What was said on a thread, to be read by people."""
    thread = _thread(thread_id)
    values = newest_values(opened.backend(), principal(), thread)
    title, agent = _title(thread.title, thread.metadata), agent_of(thread.metadata, _agents())
    text = transcript.markdown(thread, title, agent, values)
    name = transcript.file_name(thread.title or "", "md", of=str(thread_id))
    return _file(text.encode("utf-8", "replace"), name, "text/markdown")


def _wanted() -> Wanted:
    """Read the address. What names nothing is as good as not there."""
    asked = {
        name: fit(request.args.get(name, "")[:_LONGEST_WANTED].strip()) for name in ("status", "agent", "q", "metadata")
    }
    if asked["status"] not in _STATUSES:
        asked["status"] = ""
    agent = parse_id(asked["agent"])
    asked["agent"] = str(agent) if agent else ""
    query = {name: text for name, text in asked.items() if text}
    try:
        metadata = dict(_pairs(asked["metadata"]))
    except ValueError:
        return Wanted(ThreadFilter(), query, _("Write metadata as key=value; several with commas between them."))
    metadata |= {"assistant_id": str(agent)} if agent else {}
    status = _STATUSES.get(asked["status"], {})
    return Wanted(ThreadFilter(metadata=metadata or None, title=asked["q"] or None, **status), query)


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    """``plan=pro, seats=3``: what reads as a number, true, false, null or a text in quotes is that; else a text."""
    for pair in filter(None, map(str.strip, text.split(","))):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals):
            raise ValueError(pair)
        yield name, _value(value)


def _value(text: str) -> Any:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text if isinstance(found, dict | list) else found


def _agents() -> dict[UUID, str]:
    """What the caller's agents are called; the project's graphs come first, as it names them."""
    if not principal().may("assistants:read"):
        return {}
    require("assistants:read", on=("assistants", "search"))
    backend = opened.backend()
    with backend.db.read() as tx:
        return {each.assistant_id: each.name for each in choices(tx, backend, principal())}


def _shown(line: ThreadLine, agents: dict[UUID, str]) -> Shown:
    is_untitled = not (line.title or titles.given(line.metadata))
    title, agent = _title(line.title, line.metadata), agent_of(line.metadata, agents)
    return Shown(line, title, is_untitled, agent, thread_word(line.status, asks=line.asks, is_running=line.is_running))


def _title(title: str | None, metadata: dict[str, Any]) -> str:
    return title or titles.given(metadata) or _("Untitled")


def _thread(thread_id: UUID) -> Thread:
    with opened.backend().db.read() as tx:
        return threads.get(tx, principal(), thread_id)


def _named() -> dict[str, list[str]]:
    """The threads whose boxes are ticked, as the API names them; no more than a page has."""
    ids = dict.fromkeys(map(parse_id, request.form.getlist("thread")))
    return {"thread_ids": [str(thread_id) for thread_id in ids if thread_id is not None][:SIZE]}


def _ticked() -> list[UUID]:
    """Those of them that the project's handlers, where there are any, have left."""
    left = granted(request) or {}
    ids = left.get("thread_ids") if "thread_ids" in left else _named()["thread_ids"]
    return [thread_id for each in ids or () if (thread_id := parse_id(str(each))) is not None]


def _told(thread: Thread, agents: dict[UUID, str]) -> dict[str, Any]:
    """All of a thread that an export tells."""
    return {
        "thread_id": str(thread.thread_id),
        "title": thread.title or titles.given(thread.metadata),
        "agent": agent_of(thread.metadata, agents),
        "status": thread.status,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "metadata": thread.metadata,
        "values": newest_values(opened.backend(), principal(), thread),
        "interrupts": thread.interrupts or {},
        "error": thread.error,
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)


def _file(content: bytes, name: str, kind: str) -> Response:
    answer = send_file(BytesIO(content), mimetype=kind, as_attachment=True, download_name=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _back() -> Response:
    """Lead back to the list as it was looked at."""
    return lead(page_place(request.form.get("back"), otherwise="/console/threads"))
