"""What agents wait for a person to decide or to say: the list, the page of one thread's questions, the answers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, g, jsonify, make_response, render_template, request
from flask_babel import get_locale
from flask_babel import gettext as _

from deerflow.auth.remembered import Remembered
from deerflow.authz import requires, stamped
from deerflow.domain.approvals import open_interrupts
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.threads import Thread
from deerflow.domain.words import ThreadStatus
from deerflow.errors import Conflict, Invalid, NotFound, RateLimited, Unavailable
from deerflow.identity import opened, principal
from deerflow.identity.handlers import name_of
from deerflow.runtime.decide import decide
from deerflow.runtime.submit import NoSuchInterrupt
from deerflow.storage import approvals, assistants, keys, runs, threads
from deerflow.storage.approvals import Answered
from deerflow.storage.database import Tx
from deerflow.web.called import agent_id, agent_of
from deerflow.web.compact import Sheet, pretty
from deerflow.web.pager import pager
from deerflow.web.places import lead
from deerflow.web.questions import Question, Typed, Wrong, answers_to, cards, headline, in_words, read_form
from deerflow.web.told import told as in_full

_MOST_COUNTED = 1_000
_ANSWERS = 20
_AT_ONCE = 100
"""So many questions are on the page; those that are not answered with them are asked again."""
_DRAWN_AT_ONCE = 50
_NOTHING: Mapping[str, list[Typed]] = {}
_READ_AGAIN_SECONDS = 3_600.0
_HEADLINES = "deerflow.headlines"


def add_to(console: Blueprint) -> None:
    """Add the pages' routes, and an app's memory of what threads ask: by thread, version of its state, and language."""
    console.record(lambda setup: setup.app.extensions.update({_HEADLINES: Remembered(_MOST_COUNTED)}))
    console.get("/approvals", endpoint="approvals")(listed)
    console.get("/approvals/count", endpoint="approvals_count")(counted)
    console.get("/approvals/<id(thread):thread_id>", endpoint="approvals_one")(one)
    console.post("/approvals/<id(thread):thread_id>", endpoint="approvals_answer")(answer)
    console.get("/approvals/<id(thread):thread_id>/value", endpoint="approvals_value")(value)


@requires("threads:read", on=("threads", "search"))
def listed() -> Response:
    """All threads that wait for the caller."""
    backend, caller = opened.backend(), principal()
    with backend.db.read() as tx:
        part = pager(approvals.count(tx, caller, most=_MOST_COUNTED))
        found = approvals.page(tx, caller, limit=part.size, offset=part.offset)
        names = _agents(tx, caller, found)
        lines = [
            {"thread": each, "headline": _headline(tx, caller, each), "agent": names[each.thread_id]} for each in found
        ]
    return make_response(render_template("console/approvals.html", lines=lines, page=part))


@requires("threads:read", on=("threads", "search"))
def counted() -> Response:
    """How many threads wait for the caller, for the navigation."""
    return jsonify(waiting=waiting())


@requires("threads:read")
def one(thread_id: UUID) -> Response:
    """What one thread asks, and what was answered on it."""
    return _page(thread_id, sent=parse_id(request.args.get("run", "")))


@requires("threads:read")
def value(thread_id: UUID) -> Response:
    """All that the agent sent with one question, *interrupt*; the page has the beginning of what is very long."""
    with opened.backend().db.read() as tx:
        asked = dict(open_interrupts(threads.get(tx, principal(), thread_id).interrupts))
    named = request.args.get("interrupt", "")
    if named not in asked:
        return lead(f"/console/approvals/{thread_id}")  # which tells what has become of it
    sent = asked[named]
    return Response(sent if isinstance(sent, str) else pretty(sent), content_type="text/plain; charset=utf-8")


@requires("runs:create")
def answer(thread_id: UUID) -> Response:
    """Send the answers to the questions that the form was made for, if they are still open."""
    backend, caller = opened.backend(), principal()
    with backend.db.read() as tx:
        asked = dict(open_interrupts(threads.get(tx, caller, thread_id).interrupts))
    typed = read_form(request.form, asked)
    if not typed or len(typed) < len(request.form.getlist("interrupt")):
        return _page(thread_id, typed, told=_answered_meanwhile())
    answers, wrong = answers_to(asked, typed)
    if wrong:
        return _page(thread_id, typed, wrong=wrong, told=_("Nothing was sent yet: something is still missing below."))
    try:
        once = request.form.get("once", "")
        run_id = decide(backend, caller, thread_id, answers, once=once, metadata=stamped(request))
    except (NoSuchInterrupt, Conflict):
        return _page(thread_id, typed, told=_answered_meanwhile())
    except (Invalid, NotFound, RateLimited) as error:
        return _page(thread_id, typed, told=in_full(error))
    return lead(f"/console/approvals/{thread_id}?run={run_id}")


def waiting() -> int:
    """How many threads wait for the caller; looked at once a request. 0 while nobody can tell."""
    if "waiting" not in g:
        g.waiting = 0
        try:
            with opened.backend().db.read() as tx:
                g.waiting = approvals.count(tx, principal(), most=_MOST_COUNTED)
        except Unavailable:
            current_app.logger.debug("The database does not say how many threads wait")
    return int(g.waiting)


def _page(
    thread_id: UUID,
    typed: Mapping[str, list[Typed]] = _NOTHING,
    *,
    wrong: Wrong | None = None,
    told: str = "",
    sent: UUID | None = None,
) -> Response:
    """The page of a thread as it is now, with what was typed. *sent*: the run that has just gone on with an answer."""
    backend, caller = opened.backend(), principal()
    with backend.db.read() as tx:
        thread = threads.get(tx, caller, thread_id)
        done = approvals.answered(tx, caller, thread_id, limit=_ANSWERS)
        facts: dict[str, Any] = {
            "agent": _agents(tx, caller, [thread])[thread_id],
            "who": _who(tx, caller, done),
            "once": _last_run(tx, caller, thread_id),
            "following": _following(tx, caller, thread_id),
        }
    asked = open_interrupts(thread.interrupts) if thread.status is ThreadStatus.INTERRUPTED else []
    facts |= {
        "thread": thread,
        "cards": list(cards(asked[:_AT_ONCE], typed, wrong or {})),
        "asked": len(asked),
        "headline": headline(asked),
        "answered": [(each, in_words(each.resume)) for each in done],
        "is_draft": bool(typed) and bool(asked),  # not fetched again: what was typed would go
        "is_busy": thread.status is ThreadStatus.BUSY,
        "is_sent": not told and sent in {each.run_id for each in done},
    }
    facts |= {"pretty": pretty, "sheet": Sheet(), "unhurried": _unhurried}
    return make_response(render_template("console/approval.html", told=told, **facts))


def _unhurried(questions: Sequence[Question]) -> Iterator[Question]:
    """The same questions; while thousands of them are drawn others are answered in between."""
    for place, question in enumerate(questions, 1):
        yield question
        if place % _DRAWN_AT_ONCE == 0:
            time.sleep(0)


def _answered_meanwhile() -> str:
    return str(_("This was answered meanwhile, so your answer was not sent. Below is how it stands now."))


def _headline(tx: Tx, caller: Principal, thread: Thread) -> str:
    """What a thread asks, in one line. Lists ask every few seconds, and to read megabytes anew would hold up others."""

    def read() -> tuple[str, float]:
        return headline(open_interrupts(approvals.asked(tx, caller, thread.thread_id))), _READ_AGAIN_SECONDS

    remembered: Remembered[str] = current_app.extensions[_HEADLINES]
    return remembered.get((thread.thread_id, thread.state_updated_at, str(get_locale())), read)


def _last_run(tx: Tx, caller: Principal, thread_id: UUID) -> str:
    """What a form names itself by: as long as nothing new has begun on the thread, it is the same form."""
    last = runs.page(tx, caller, thread_id, status=None, limit=1, offset=0)
    return str(last[0].run_id if last else thread_id)


def _following(tx: Tx, caller: Principal, thread_id: UUID) -> Thread | None:
    """Another thread that waits."""
    return next((each for each in approvals.page(tx, caller, limit=2) if each.thread_id != thread_id), None)


def _who(tx: Tx, caller: Principal, done: list[Answered]) -> dict[UUID, str]:
    """Who has answered, by run: the caller, a key of theirs, or somebody whom the project's handlers let see this."""
    user_id, by_key = parse_id(caller.user_id), any(each.key_id for each in done)
    named = {key.key_id: key.name for key in keys.of_user(tx, user_id)} if user_id and by_key else {}
    return {each.run_id: _name(caller, each, named) for each in done}


def _name(caller: Principal, done: Answered, named: Mapping[UUID, str]) -> str:
    if done.key_id is not None and done.owner == caller.user_id:
        return str(_("API key “%(name)s”", name=named.get(done.key_id, str(done.key_id)[-8:])))
    if done.owner == caller.user_id:
        return str(_("You"))
    return str((done.user or {}).get("display_name") or name_of(done.owner))


def _agents(tx: Tx, caller: Principal, found: list[Thread]) -> dict[UUID, str]:
    """The names of these threads' agents, by thread."""
    ids = {named for each in found if (named := agent_id(each.metadata)) is not None}
    names = assistants.names_of(tx, caller, ids)
    return {each.thread_id: agent_of(each.metadata, names) for each in found}
