"""How the server does: which parts answer, who works, how much waits, and what it was told."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template
from flask_babel import format_decimal, format_timedelta, gettext, ngettext

from deerflow import __version__
from deerflow.authz import requires
from deerflow.backend import Backend
from deerflow.events.server import ServerSeen
from deerflow.identity import opened
from deerflow.runtime.condition import Part, System, look
from deerflow.web.statuses import run_word
from deerflow.web.told import told as in_words

_NO_EVICTION = "noeviction"


@dataclass(frozen=True)
class Setting:
    """A setting that explains what people see: what it is about, its value in words, and its name."""

    about: str
    value: str
    name: str


def add_to(console: Blueprint) -> None:
    """Add the page's route."""
    console.get("/system", endpoint="system")(show)


@requires("system:read")
def show() -> Response:
    """All of it."""
    backend = opened.backend()
    found = look(backend)
    facts = {
        "system": found,
        "problems": list(_problems(found)),
        "load": found.condition.load,
        "slots": found.condition.slots(),
        "redis_version": _redis_version(found.redis.seen),
        "versions": {"DeerFlow": __version__, "Python": platform.python_version(), "LangGraph": version("langgraph")},
        "settings": list(_settings(backend)),
        "project": backend.project,
    }
    words = {"since": _since, "milliseconds": _milliseconds, "run_word": run_word, "in_words": in_words}
    return make_response(render_template("console/system.html", **facts, **words))


def _problems(system: System) -> Iterator[str]:
    """What is wrong, and what comes of it."""
    for part in (system.database, system.redis):
        if part.problem:
            yield in_words(part.problem)
    if system.condition.workers is not None:
        if not system.workers("runs"):
            yield gettext("No worker is running: runs will wait.")
        if not system.workers("state"):
            yield gettext("No state worker is running: the state of threads cannot be read or changed.")
        if not system.workers("clock"):
            yield gettext("No clock is running: schedules and webhooks wait, and nobody takes over from a lost worker.")
    redis = system.redis.seen
    if redis is not None and redis.policy != _NO_EVICTION and redis.most:
        yield gettext(
            "Redis throws events away when its memory is full: set its maxmemory-policy to noeviction, not %(policy)s.",
            policy=redis.policy,
        )


def _settings(backend: Backend) -> Iterator[Setting]:
    config, rules = current_app.config, backend.rules
    callers = {
        "accounts": gettext("Who signs in, or sends an API key"),
        "trusted-header": gettext("Whom the proxy in front names"),
        "none": gettext("Everybody on this machine"),
    }
    yield Setting(gettext("Who may call"), callers[config["DEERFLOW_AUTH"]], "DEERFLOW_AUTH")
    if config["DEERFLOW_AUTH"] == "accounts":
        registration = gettext("Anybody") if config["DEERFLOW_REGISTRATION"] else gettext("Invited people only")
        yield Setting(gettext("Who may make an account"), registration, "DEERFLOW_REGISTRATION")
    readers = {"public": gettext("Anybody"), "admin": gettext("Administrators"), "off": gettext("Nobody")}
    yield Setting(gettext("Who may read the metrics"), readers[config["DEERFLOW_METRICS"]], "DEERFLOW_METRICS")
    yield Setting(gettext("Runs of one worker at once"), format_decimal(rules.worker_runs), "DEERFLOW_WORKER_RUNS")
    limit = rules.run_timeout_seconds
    longest = _length(timedelta(seconds=limit)) if limit else gettext("As long as it likes")
    yield Setting(gettext("How long a run may take"), longest, "DEERFLOW_RUN_TIMEOUT_SECONDS")
    yield Setting(gettext("A lost worker is noticed after"), _length(rules.lease), "DEERFLOW_LEASE_SECONDS")
    most = format_decimal(rules.thread_queue_limit)
    yield Setting(gettext("Runs that may wait on one thread"), most, "DEERFLOW_THREAD_QUEUE_LIMIT")
    kept = timedelta(seconds=rules.keep_log_seconds)
    yield Setting(gettext("Events of a run are kept for"), _length(kept), "DEERFLOW_KEEP_LOG_SECONDS")
    days = ngettext("%(num)s day", "%(num)s days", rules.audit_days)
    yield Setting(gettext("The audit is kept for"), days, "DEERFLOW_AUDIT_DAYS")


def _redis_version(seen: ServerSeen | None) -> str:
    return "" if seen is None else f"{seen.name} {seen.version}"


def _length(length: timedelta) -> str:
    return str(format_timedelta(length, threshold=1.5))


def _since(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _milliseconds(part: Part[Any]) -> str:
    return str(format_decimal(round(part.seconds * 1000, 1)))
