"""Builders: the standing cast, and the rows that tests begin with."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from app import create_app
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import LOCAL, PERMISSIONS, Principal, Role, Scope
from deerflow.domain.runs import Run, RunSpec
from deerflow.domain.threads import Thread
from deerflow.domain.words import RunStatus
from deerflow.errors import NotFound
from deerflow.runtime import keys as runtime_keys
from deerflow.runtime.set_up import finish_set_up, open_set_up
from deerflow.runtime.submit import submit_once
from deerflow.settings import Settings
from deerflow.storage import leases, models, runs, threads, users
from tests.openapi import CheckingClient

T = TypeVar("T")

OWNER = Principal("owner", PERMISSIONS)
"""Whose things they are."""
TEAM_MATE = Principal("team-mate", PERMISSIONS)
"""Knows the ids, but does not own the things."""
STRANGER = Principal("stranger", frozenset())
"""Owns nothing and may do nothing."""
LOCAL_USER = Principal(LOCAL, PERMISSIONS)
"""Who every caller is in auth mode ``none``; owns what a live server makes."""


def make_spec(assistant: str | None = "steps", **fields: Any) -> RunSpec:
    """What a client asks for when it asks for nothing special."""
    return RunSpec(assistant=assistant, **fields)


def make_thread(
    backend: Backend, principal: Principal = OWNER, *, thread_id: UUID | None = None, **metadata: Any
) -> Thread:
    """A stored thread."""
    with backend.db.begin() as tx:
        return threads.create(tx, principal, thread_id or new_id(), metadata)


def submit(backend: Backend, principal: Principal, spec: RunSpec, *, thread_id: UUID) -> Run:
    """Submit one run as the API does, without an ``Idempotency-Key``."""
    made = submit_once(backend, principal, [(spec, thread_id)], None, note=lambda _runs: None)
    assert isinstance(made, list)
    return made[0]


def make_run(
    backend: Backend,
    principal: Principal = OWNER,
    *,
    thread_id: UUID | None = None,
    assistant: str | None = "steps",
    **fields: Any,
) -> Run:
    """A pending run, submitted as a client's is; on a thread of its own unless one is named."""
    if thread_id is None:
        thread_id = make_thread(backend, principal).thread_id
    return submit(backend, principal, make_spec(assistant, **fields), thread_id=thread_id)


def claim_run(backend: Backend, run: Run, *, worker: str = "worker-1", lease_seconds: float = 60.0) -> Run | None:
    """Claim a run as a worker does; None when it is refused."""
    with backend.db.begin() as tx:
        return leases.claim(
            tx,
            run.run_id,
            worker=worker,
            task_id=f"{run.run_id}.{run.rings}",
            lease=timedelta(seconds=lease_seconds),
            crash_limit=backend.rules.crash_limit,
        )


def make_running(backend: Backend, principal: Principal = OWNER, *, worker: str = "worker-1", **of_run: Any) -> Run:
    """A run in a worker's hands."""
    running = claim_run(backend, make_run(backend, principal, **of_run), worker=worker)
    assert running is not None
    return running


def finish_run(backend: Backend, run: Run, **ending: Any) -> bool:
    """Finish a run as its worker does, with success and nothing left unless *ending* says otherwise."""
    usual = {"status": RunStatus.SUCCESS, "error": None, "head": None, "thread_error": None, "events_upto": 0}
    with backend.db.begin() as tx:
        return leases.finish(tx, run, **(usual | ending))


def row_of(backend: Backend, run: Run) -> Run:
    """The run as its row tells it now."""
    with backend.db.read() as tx:
        now = runs.peek(tx, run.run_id)
    if now is None:
        raise NotFound("Run not found")
    return now


def thread_of(backend: Backend, run: Run, principal: Principal = OWNER) -> Thread:
    """The run's thread as its row tells it now."""
    with backend.db.read() as tx:
        return threads.get(tx, principal, run.thread_id)


def set_columns(backend: Backend, run: Run, **values: Any) -> None:
    """Make a run's row what only time or a crash would make of it."""
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.runs).where(models.runs.c.run_id == run.run_id).values(values))


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Do all of *acts* in threads that start together; what they returned, in their order."""
    barrier = Barrier(len(acts))

    def act(one: Callable[[], T]) -> T:
        barrier.wait(60)
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def _compile_routes_once() -> None:
    """Let apps share what werkzeug compiles of their rules: most tests make an app, and this takes the longest."""
    made: dict[tuple[object, ...], dict[str, Any]] = {}
    parts = ("arguments", "_parts", "_trace", "_converters", "_build", "_build_unknown")
    compile_anew = Rule.compile

    def compile_once(rule: Rule) -> None:
        how = (rule.strict_slashes, rule.merge_slashes, rule.subdomain, rule.host, repr(rule.defaults))
        key = (rule.rule, *how, *rule.map.converters.values())
        if key not in made:
            compile_anew(rule)
            made[key] = {name: vars(rule)[name] for name in parts}
        vars(rule).update(made[key])

    Rule.compile = compile_once  # type: ignore[method-assign]


_compile_routes_once()


class _Templates(BytecodeCache):
    """What Jinja compiles of the pages, for all apps of a process."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._made:
            bucket.bytecode_from_string(self._made[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._made[bucket.key] = bucket.bytecode_to_string()


_TEMPLATES = _Templates()


def make_app(settings: Settings, backend: Backend) -> Flask:
    """The real app, on a Backend that the test has a hand in; its clients look whether answers are as documented."""
    app = create_app(settings)
    app.jinja_env.bytecode_cache = _TEMPLATES
    app.extensions["deerflow"].close()
    app.extensions["deerflow"] = backend
    app.test_client_class = CheckingClient
    return app


def make_user(backend: Backend, email: str, *, role: Role = Role.USER, password: str | None = None) -> User:
    """An account; *password* is a hash, None when the test does not sign in with one."""
    with backend.db.begin() as tx:
        return users.create(tx, email, role=role, password=password)


def make_administrator(backend: Backend, email: str = "ada@example.com") -> User:
    """The first administrator, whose set-up this finishes."""
    waiting = open_set_up(backend)
    assert waiting is not None
    with backend.db.begin() as tx:
        return finish_set_up(tx, email, password="hash", version=waiting.token_version)


def make_key(backend: Backend, user: User, *, scope: Scope = Scope.RUN, expires_at: datetime | None = None) -> str:
    """An API key of a user; the whole key, as only its maker sees it."""
    with backend.db.begin() as tx:
        return runtime_keys.make_key(
            tx, user.user_id, name="of a test", scope=scope, expires_at=expires_at, actor=None
        )[1]
