"""The list of runs: the caller's of all threads, by status, agent, thread and age; and stopping several of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _

from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.run_list import RunLine, RunWanted
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import NotFound
from deerflow.identity import opened, principal
from deerflow.identity.handlers import name_of
from deerflow.runtime.cancel import AlreadyEnded, cancel
from deerflow.storage import run_search, runs
from deerflow.storage.database import Tx
from deerflow.web.called import choices
from deerflow.web.lasting import lasting
from deerflow.web.pager import SIZE, pager
from deerflow.web.places import lead
from deerflow.web.statuses import DONE, FAILED, NEEDS_APPROVAL, RUNNING, STOPPED, WAITING, Word, run_word

PILLS: dict[str, tuple[Word, RunWanted]] = {
    word.key: (word, RunWanted(statuses, asks))
    for word, statuses, asks in (
        (WAITING, (RunStatus.PENDING,), None),
        (RUNNING, (RunStatus.RUNNING,), None),
        (NEEDS_APPROVAL, (RunStatus.SUCCESS,), True),
        (DONE, (RunStatus.SUCCESS,), False),
        (FAILED, (RunStatus.ERROR, RunStatus.TIMEOUT), None),
        (STOPPED, (RunStatus.INTERRUPTED,), None),
    )
}
"""The words that the list is filtered by, and the runs they stand for: what timed out or lost its worker has failed."""

AGES = {
    "hour": (_("Last hour"), timedelta(hours=1)),
    "day": (_("Last 24 hours"), timedelta(days=1)),
    "week": (_("Last 7 days"), timedelta(days=7)),
}


@dataclass(frozen=True)
class Filters:
    """Which runs the address asks for."""

    status: str = ""
    agent: UUID | None = None
    thread: UUID | None = None
    since: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """What an address asks for; what means nothing is passed over."""
        status, since = given.get("status", ""), given.get("since", "")
        return cls(
            status if status in PILLS else "",
            parse_id(given.get("agent", "")),
            parse_id(given.get("thread", "")),
            since if since in AGES else "",
        )

    def wanted(self, status: str) -> RunWanted:
        """The runs that are meant, but with this status; empty: with any."""
        since = datetime.now(UTC) - AGES[self.since][1] if self.since else None
        of_status = PILLS[status][1] if status else RunWanted()
        return RunWanted(of_status.statuses, of_status.asks, self.agent, self.thread, since)

    def query(self, **other: Any) -> str:
        """The query of an address that asks for the same, but for what is given."""
        asked = {"status": self.status, "agent": self.agent, "thread": self.thread, "since": self.since, **other}
        told = urlencode({name: value for name, value in asked.items() if value})
        return f"?{told}" if told else ""


def add_to(console: Blueprint) -> None:
    """Add the list's routes."""
    console.get("/runs", endpoint="runs")(show)
    console.post("/runs/stop", endpoint="runs_stop")(stop)


@requires("runs:read", on=("threads", "search"))
def show() -> Response:
    """The list."""
    backend, caller, filters = opened.backend(), principal(), Filters.read(request.args)
    with backend.db.read() as tx:
        numbers = _numbers(tx, caller, filters)
        page = pager(numbers[filters.status])
        wanted = filters.wanted(filters.status)
        lines = run_search.page(tx, caller, wanted, limit=page.size, offset=page.offset)
        agents = choices(tx, backend, caller)
    facts = {
        "lines": lines,
        "numbers": numbers,
        "pills": {"": gettext("All"), **{key: word.text for key, (word, _runs) in PILLS.items()}},
        "page": page,
        "filters": filters,
        "agents": agents,
        "ages": {key: words for key, (words, _length) in AGES.items()},
        "can_stop": caller.may("runs:cancel") and any(is_stoppable(line) for line in lines),
        **words_of_runs(),
        **_said(request.args),
    }
    return make_response(render_template("console/runs.html", **facts))


@requires("runs:cancel", shown=lambda _none: {"run_ids": [str(run_id) for run_id in _ticked()]})
def stop() -> Response:
    """Stop the runs that were ticked, and lead back to the list as it was."""
    action, ticked = wanted_action(), _ticked()
    stopped = sum(try_to_stop(opened.backend(), principal(), run_id, action) for run_id in ticked)
    told = {"stopped": stopped, "over": len(ticked) - stopped} if ticked else {"none": 1}
    kept = Filters.read(dict(parse_qsl(request.form.get("back", ""))))
    return lead(f"/console/runs{kept.query(**told)}")


def _ticked() -> list[UUID]:
    """The runs whose boxes are ticked; no more than a page has."""
    return [run_id for text in request.form.getlist("run")[:SIZE] if (run_id := parse_id(text)) is not None]


def wanted_action() -> CancelAction:
    """What the button that was pressed shall leave of a run."""
    return CancelAction.ROLLBACK if request.form.get("action") == CancelAction.ROLLBACK else CancelAction.INTERRUPT


def try_to_stop(backend: Backend, caller: Principal, run_id: UUID, action: CancelAction) -> bool:
    """Tell a run to stop; False when it has ended, or is not there."""
    try:
        with backend.db.read() as tx:
            thread_id = runs.get_alone(tx, caller, run_id).thread_id
        cancel(backend, caller, thread_id, run_id, action)
    except (AlreadyEnded, NotFound):
        return False
    return True


def words_of_runs() -> dict[str, Any]:
    """What templates say of a run in words."""
    return {
        "word_of": word_of,
        "waited": waited,
        "ran": ran,
        "lasting": lasting,
        "is_stoppable": is_stoppable,
        "others": others,
    }


def word_of(line: RunLine) -> Word:
    """The one word for its status."""
    return run_word(line.status, error_name=line.error_name, asks=line.asks)


def waited(line: RunLine) -> timedelta | None:
    """How long it has waited for a worker since it was allowed to start; None: it never could."""
    until = line.started_at or line.ended_at or datetime.now(UTC)
    length = until - max(line.created_at, line.run_at)
    return length if length >= timedelta() else None


def others(line: RunLine) -> str:
    """Whose run it is, where the project's handlers let the caller see what is not theirs; empty for their own."""
    return "" if line.owner == principal().user_id else name_of(line.owner)


def ran(line: RunLine) -> timedelta | None:
    """How long it has run, with all its attempts; None: it has not begun."""
    return (line.ended_at or datetime.now(UTC)) - line.started_at if line.started_at is not None else None


def is_stoppable(line: RunLine) -> bool:
    """Whether it is under way, and nobody has told it to stop."""
    return line.status in (RunStatus.PENDING, RunStatus.RUNNING) and line.cancel_action is None


def _numbers(tx: Tx, caller: Principal, filters: Filters) -> dict[str, int]:
    """How many runs there are under each pill; under the empty one, all."""
    found = run_search.counts(tx, caller, filters.wanted(""))
    asking = run_search.counts(tx, caller, filters.wanted(NEEDS_APPROVAL.key)).get(RunStatus.SUCCESS, 0)
    numbers = {key: sum(found.get(status, 0) for status in of.statuses) for key, (_word, of) in PILLS.items()}
    numbers |= {NEEDS_APPROVAL.key: asking, DONE.key: numbers[DONE.key] - asking}
    return {"": sum(found.values()), **numbers}


def _said(told: Mapping[str, str]) -> dict[str, str]:
    """What came of the button that has led here."""
    if told.get("none"):
        return {"told": gettext("Select the runs to stop first.")}
    if told.get("undone"):
        return {"done": gettext("The run is being rolled back. Nothing of it will be left.")}
    stopped, over = (_number(told.get(name, "")) for name in ("stopped", "over"))
    parts = [ngettext("%(num)s run was told to stop.", "%(num)s runs were told to stop.", stopped)] if stopped else []
    parts += [ngettext("%(num)s run had already ended.", "%(num)s runs had already ended.", over)] if over else []
    return {"done": " ".join(parts)} if parts else {}


def _number(text: str) -> int:
    """So many runs, as ``stop`` has said it in the address; no more than it can have been."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(SIZE)) else 0
