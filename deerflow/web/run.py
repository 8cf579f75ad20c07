"""The page of one run: what it was asked, what it did, what came of it, and why it waits; stop, and run again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import gettext

from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.domain.claims import configured
from deerflow.domain.events import Entry
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.run_list import RunLine
from deerflow.domain.runs import Run
from deerflow.domain.steps import Step, steps_of
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import Conflict, DeerflowError, NotFound, Unavailable
from deerflow.identity import opened, principal
from deerflow.runtime import outline
from deerflow.runtime.again import run_again
from deerflow.runtime.ask import run_steps
from deerflow.runtime.cancel import AlreadyEnded, cancel
from deerflow.runtime.join import outcome
from deerflow.runtime.waiting import wait_of
from deerflow.storage import run_search, runs
from deerflow.web.compact import MOST_OF_A_VALUE, Text, shortened
from deerflow.web.places import lead
from deerflow.web.runs import wanted_action, words_of_runs
from deerflow.web.told import in_words
from deerflow.web.told import told as in_full

EVENTS = 200
"""So many are on the page; older ones on further pages."""
_LOOKED_THROUGH = 2_000
"""Events from the log's beginning in which nodes are looked for."""
_MOST_STEPS = 100
_MOST_KEPT = 50
"""Steps that checkpoints are read for: each of these holds a whole state."""
_MOST_OF_AN_EVENT = 2_000
_PREVIEW = 160


@dataclass(frozen=True)
class Event:
    """One event of the page. ``after``: how long after the run was accepted."""

    place: int
    name: str
    after: timedelta
    preview: str
    body: Text


@dataclass(frozen=True)
class Kept:
    """The steps that the run's checkpoints tell of; ``why`` there are none now."""

    steps: list[Step]
    why: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether there may be more before them."""
        return sum(step.ended_ms is not None for step in self.steps) >= _MOST_KEPT


@dataclass(frozen=True)
class Told:
    """What the log tells: the last events up to a place, and the steps. ``older``: the place of the first one seen."""

    events: list[Event]
    steps: list[Step]
    end: int
    older: int | None
    gone: int
    """The last place that is no longer kept."""


def add_to(console: Blueprint) -> None:
    """Add the page's routes."""
    console.get("/runs/<id(run):run_id>", endpoint="runs_one")(show)
    console.post("/runs/<id(run):run_id>/stop", endpoint="runs_stop_one")(stop)
    console.post("/runs/<id(run):run_id>/again", endpoint="runs_again")(again)


@requires("runs:read")
def show(run_id: UUID) -> Response:
    """The page."""
    return _page(run_id)


@requires("runs:cancel")
def stop(run_id: UUID) -> Response:
    """Tell the run to stop; that it has already ended is no error."""
    backend, caller, action = opened.backend(), principal(), wanted_action()
    run = _find(backend, caller, run_id)[0]
    try:
        cancel(backend, caller, run.thread_id, run_id, action)
    except AlreadyEnded:
        return lead(f"/console/runs/{run_id}?said=over")
    except NotFound:
        return lead("/console/runs?over=1")
    return lead("/console/runs?undone=1" if action is CancelAction.ROLLBACK else f"/console/runs/{run_id}?said=stop")


@requires("runs:create")
def again(run_id: UUID) -> Response:
    """Run it again, on the same thread; a double click is one press."""
    backend, caller = opened.backend(), principal()
    run = _find(backend, caller, run_id)[0]
    press = parse_id(request.form.get("press", "")) or new_id()
    try:
        made = run_again(backend, caller, run, press=str(press))
    except (Unavailable, Conflict):
        raise
    except DeerflowError as error:
        return _page(run_id, told=gettext("It cannot run again: %(reason)s.", reason=in_words(str(error))))
    return lead(f"/console/runs/{made}?said=again")


def _page(run_id: UUID, told: str | None = None) -> Response:
    backend, caller = opened.backend(), principal()
    run, line = _find(backend, caller, run_id)
    log = _log(backend, run)
    asks = "steps" in request.args and run.started_at is not None and log is not None and not log.steps
    wait = wait_of(backend, caller, run.thread_id, run_id) if run.status is RunStatus.PENDING else None
    facts = {
        "run": run,
        "line": line,
        "wait": wait,
        "log": log,
        "kept": _kept(backend, caller, run, line) if asks else None,
        "input": _beginning(_input(run)),
        "config": _beginning(_config(run)),
        "output": _output(backend, caller, run),
        "traceback": _traceback(backend, caller, run),
        "press": new_id(),
        "can_stop": caller.may("runs:cancel"),
        "can_create": caller.may("runs:create"),
        "is_admin": caller.administers,
        "now_ms": int(datetime.now(UTC).timestamp() * 1000),
        "told": told,
        "done": _SAID.get(request.args.get("said", ""), lambda: None)(),
        "length_of": _length,
        "since": lambda ms: datetime.now(UTC) - _at(ms),
        **words_of_runs(),
    }
    return make_response(render_template("console/run.html", **facts))


_SAID = {
    "stop": lambda: gettext("The run was told to stop."),
    "over": lambda: gettext("There was nothing to stop: the run had already ended."),
    "again": lambda: gettext("This is the new run. It was asked for the same."),
}


def _find(backend: Backend, caller: Principal, run_id: UUID) -> tuple[Run, RunLine]:
    with backend.db.read() as tx:
        run, line = runs.get_alone(tx, caller, run_id), run_search.line(tx, caller, run_id)
    if line is None:
        raise NotFound("Run not found")
    return run, line


def _input(run: Run) -> Any:
    """What the run began with: an input, or a command (an answer, for one)."""
    return run.kwargs["input"] if run.kwargs["command"] is None else run.kwargs["command"]


def _config(run: Run) -> dict[str, Any]:
    """How it was to run, without what says nothing."""
    kwargs = run.kwargs
    config = {**kwargs["config"], "configurable": configured(kwargs["config"].get("configurable") or {})}
    told = {
        "config": {name: value for name, value in config.items() if value not in (None, {}, [])},
        "context": kwargs["context"],
        "metadata": run.metadata,
        "multitask_strategy": run.multitask_strategy,
        **{name: kwargs.get(name) for name in _OPTIONS},
    }
    return {name: value for name, value in told.items() if value not in (None, {}, [])}


_OPTIONS = ("checkpoint", "interrupt_before", "interrupt_after", "stream_mode", "durability", "webhook", "protocol")


def _output(backend: Backend, caller: Principal, run: Run) -> Text | None:
    """What the run has left; None while it is under way, where it left nothing or Redis is away."""
    if not run.is_terminal or run.error is not None:
        return None
    try:
        left = outcome(backend, caller, run)
    except Unavailable:
        return None
    return None if left == b"{}" else _beginning(orjson.loads(left))


def _traceback(backend: Backend, caller: Principal, run: Run) -> str | None:
    """Where in the code it failed, for administrators: such a text can hold values of any kind."""
    if run.error is None or not caller.administers:
        return None
    with backend.db.read() as tx:
        return runs.find_traceback(tx, caller, run.run_id)


def _log(backend: Backend, run: Run) -> Told | None:
    """What the log tells; None when Redis is away. ``before``, in the address, leads to older events."""
    try:
        end = backend.log.end(run.run_id)
        upto = min(_before() or end + 1, end + 1) - 1
        page = backend.log.read(run.run_id, max(0, upto - EVENTS), limit=min(EVENTS, max(upto, 1)))
        first = backend.log.read(run.run_id, 0, limit=_LOOKED_THROUGH)
    except Unavailable:
        return None
    entries = [entry for entry in page.entries if entry.place <= upto]
    older = entries[0].place if entries and entries[0].place > page.base + 1 else None
    events = [_event(entry, run.created_at) for entry in entries]
    return Told(events, steps_of(first.entries)[:_MOST_STEPS], end, older, page.base)


def _kept(backend: Backend, caller: Principal, run: Run, line: RunLine) -> Kept:
    """What a state worker reads from the checkpoints; the page waits for it, so only an address with ``steps`` asks."""
    try:
        if not outline.is_told(backend):
            return Kept([], gettext("No state worker is running."))
        steps = run_steps(backend, caller, run, line.graph_id, most=_MOST_KEPT)
    except DeerflowError as error:
        return Kept([], in_full(error))
    is_done = run.status is RunStatus.SUCCESS  # what comes next was not to be run, unless it asks
    steps = [step for step in steps if not is_done or step.ended_ms or step.asks]
    return Kept(steps, "" if steps else gettext("The checkpoints tell of no node."))


def _before() -> int | None:
    text = request.args.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 16 else None  # noqa: PLR2004 - below 2^53


def _event(entry: Entry, since: datetime) -> Event:
    data = entry.data
    preview = data[: 4 * _PREVIEW].decode("utf-8", "ignore")[:_PREVIEW]
    if len(data) > _MOST_OF_AN_EVENT:
        body = Text(data[:_MOST_OF_AN_EVENT].decode("utf-8", "ignore"), is_cut=True)
    else:
        body = _beginning(orjson.loads(data), _MOST_OF_AN_EVENT)
    return Event(entry.place, entry.name, _at(entry.at_ms) - since, preview, body)


def _length(step: Step) -> timedelta | None:
    """How long a step took, where both ends are known."""
    if step.began_ms is None or step.ended_ms is None:
        return None
    return timedelta(milliseconds=step.ended_ms - step.began_ms)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _beginning(value: Any, most: int = MOST_OF_A_VALUE) -> Text:
    """A value as indented JSON, its beginning if it is long."""
    return shortened(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(), most)
