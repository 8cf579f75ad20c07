"""``/metrics``: numbers about the whole server and this process, for Prometheus; they name nobody.

What all processes share (runs, queue, workers, outbox) is read from the database and Redis at most once a second,
whoever asks. What is a process's own (requests, open answers) is counted here: each web process is scraped by itself.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from deerflow.authz import require
from deerflow.backend import Backend
from deerflow.domain.words import RunStatus
from deerflow.errors import NotFound
from deerflow.identity import identify, opened
from deerflow.runtime.condition import Condition, condition_of, parts_of
from deerflow.settings import Settings

T = TypeVar("T")

_FRESH_SECONDS = 1.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Fresh(Generic[T]):
    """An answer that is good for a second; of those who want it anew at once one asks, and the others wait."""

    def __init__(self, ask: Callable[[], T], *, seconds: float = _FRESH_SECONDS) -> None:
        self._ask, self._seconds = ask, seconds
        self._lock = threading.Lock()
        self._until = 0.0
        self._found: T | None = None

    def get(self) -> T:
        """The answer."""
        with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = self._ask()
                self._until = time.monotonic() + self._seconds
            return self._found


class Metrics:
    """What one app measures."""

    def __init__(self, backend: Callable[[], Backend]) -> None:
        self._backend = backend
        self.condition = Fresh(lambda: condition_of(backend()))
        self.parts = Fresh(lambda: parts_of(backend()))
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._requests = Histogram(
            "deerflow_request_seconds",
            "Seconds until an answer began, by route; of a stream until its first byte.",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=_BUCKETS,
        )

    def observe(self, response: Response) -> Response:
        """Count a request that is answered."""
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in _METHODS else "other"  # clients make up as many as they like
        labels = (method, route, f"{response.status_code // 100}xx")
        self._requests.labels(*labels).observe(time.perf_counter() - g.began_at)
        return response

    def text(self) -> bytes:
        """All numbers as Prometheus reads them."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing, so that nothing is asked before somebody wants to know."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The numbers that are looked up when somebody wants to know."""
        found = self.condition.get()
        yield GaugeMetricFamily(
            "deerflow_open_answers", "Answers of this process that wait for events.", self._backend().wakeups.waiting
        )
        up = GaugeMetricFamily("deerflow_up", "Whether a part answers.", labels=["part"])
        up.add_metric(["database"], float(found.load is not None))
        up.add_metric(["redis"], float(found.workers is not None))
        yield up
        yield from _of_runs(found)
        yield from _of_workers(found)


def register(app: Flask, settings: Settings) -> None:
    """Let an app measure its requests."""
    app.config["DEERFLOW_METRICS"] = settings.metrics
    measured = app.extensions["deerflow.metrics"] = Metrics(lambda: app.extensions["deerflow"])
    app.before_request(_begin)
    app.after_request(measured.observe)


def current() -> Metrics:
    """What the app that answers this request has measured."""
    found: Metrics = current_app.extensions["deerflow.metrics"]
    return found


def require_reader() -> None:
    """Raise unless the caller may read the numbers: by the setting anybody, administrators, or nobody."""
    readers = current_app.config["DEERFLOW_METRICS"]
    if readers == "off":
        raise NotFound("Not Found")
    if readers == "admin":
        identify(request)
        require("users:read")


def as_json() -> dict[str, dict[str, float]]:
    """The numbers that the reference server tells as JSON, under its names."""
    found = current().condition.get()
    executing, slots = found.slots()
    load = found.load
    return {
        "workers": {"max": slots, "active": executing, "available": max(0, slots - executing)},
        "queue": {
            "n_pending": load.pending if load else 0,
            "n_running": load.running if load else 0,
            "pending_unblocked_runs_wait_time_max_secs": load.oldest_seconds if load else 0.0,
        },
        "streams": {"open": opened.backend().wakeups.waiting},
    }


def _begin() -> None:
    g.began_at = time.perf_counter()


def _of_runs(found: Condition) -> Iterator[Metric]:
    ended = CounterMetricFamily("deerflow_runs_ended", "Runs that have ended, by how.", labels=["status"])
    for status, count in (found.ended or {}).items():
        ended.add_metric([status.value], count)
    yield ended
    if found.load is None:
        return
    runs = GaugeMetricFamily("deerflow_runs", "Runs in flight.", labels=["status"])
    runs.add_metric([RunStatus.PENDING.value], found.load.pending)
    runs.add_metric([RunStatus.RUNNING.value], found.load.running)
    yield runs
    told = {
        "deerflow_queue_depth": ("Pending runs whose time has come.", found.load.due),
        "deerflow_queue_unclaimed": ("Of these, runs that a free worker would take.", found.load.unclaimed),
        "deerflow_queue_oldest_seconds": ("How long the oldest of these has waited.", found.load.oldest_seconds),
        "deerflow_webhooks_pending": ("Webhooks in the outbox.", found.load.webhooks),
    }
    for name, (text, value) in told.items():
        yield GaugeMetricFamily(name, text, value)


def _of_workers(found: Condition) -> Iterator[Metric]:
    if found.workers is None:
        return
    alive = GaugeMetricFamily("deerflow_workers", "Processes that work on a queue.", labels=["queue"])
    for queue in ("runs", "state", "clock"):
        alive.add_metric([queue], sum(queue in worker.queues for worker in found.workers))
    yield alive
    executing, slots = found.slots()
    yield GaugeMetricFamily("deerflow_worker_slots", "Runs that all workers can execute at once.", slots)
    yield GaugeMetricFamily("deerflow_worker_executing", "Runs that they execute.", executing)
