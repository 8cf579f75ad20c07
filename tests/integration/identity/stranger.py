"""The stranger: what the owner has, what somebody else asks about it, and how two answers are compared."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from flask import Flask, session
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.assistants import AssistantSpec
from deerflow.domain.ids import new_id
from deerflow.domain.principal import PERMISSIONS, Principal, Role, Scope
from deerflow.domain.runs import RunSpec
from deerflow.domain.words import CancelAction
from deerflow.events.log import log_key
from deerflow.identity import sessions
from deerflow.runtime.cancel import cancel
from deerflow.runtime.schedule import add_cron
from deerflow.storage import assistants, keys, models, webhooks
from deerflow.storage import sessions as session_rows
from tests.factories import claim_run, finish_run, make_key, make_run, make_user

WORD = "what only the owner knows"

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")
_SECRET = re.compile(r"df_[\w-]+|(?<=\"csrf_token\":\")[^\"]+|(?<=\"csrf_token\" value=\")[^\"]+")
_OF_EACH_ANSWER = {"Date", "Set-Cookie"}

Things = dict[str, UUID | str]
"""Ids by the name that a case gives them: ``thread``, ``run``, ``assistant``…; and an ``email``."""


@dataclass(frozen=True)
class Case:
    """One call of a route. ``{thread}`` and the like stand for ids, in the body and the query as well.

    ``status``: the stranger's answer with the owner's ids. ``unused``: with ids that nobody has, which is the same
    answer, but for an id that cannot be taken twice.
    ``own``: ids in the path are the caller's own things, and only the body names others.
    ``by_session``: the answer to who is signed in, where that is another one than a key's.
    """

    json: Any = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 404
    unused: int | None = None
    own: bool = False
    by_session: int | None = None


def same(status: int, json: Any = None, **more: Any) -> Case:
    """The stranger gets this status, and no other answer than for unused ids."""
    return Case(json, status=status, **more)


def taken(json: Any, **more: Any) -> Case:
    """The id cannot be had twice: 409, where an unused one is created. That it is taken is all that is told."""
    return Case(json, status=409, unused=200, **more)


def own(json: Any, **more: Any) -> Case:
    """On the caller's own things, with others named in the body: they are as good as unused."""
    return Case(json, status=more.pop("status", 200), own=True, **more)


def signed_in(status: int, json: Any = None) -> Case:
    """For people at a browser; no key may do it."""
    return Case(json, status=403, by_session=status)


def principal_for(user: User) -> Principal:
    """A user as storage knows them."""
    return Principal(user.owner, PERMISSIONS)


def make_things(backend: Backend, user: User) -> list[Things]:
    """What a user has: a thread with a run that has ended, that waits, that runs, and that was rolled back."""
    caller = principal_for(user)
    assistant = make_assistant(backend, user)
    ended, waiting, running, gone = (make_run(backend, caller, metadata={"word": WORD}) for _ in range(4))
    claimed = claim_run(backend, ended)
    assert claimed is not None
    finish_run(backend, claimed)
    assert claim_run(backend, running) is not None
    cancel(backend, caller, gone.thread_id, gone.run_id, CancelAction.ROLLBACK)
    thread = {"values": {"word": WORD}, "metadata": {"word": WORD, "graph_id": "steps"}}
    with backend.db.begin() as tx:
        webhooks.put(tx, ended, url="https://example.org", receiver="https://example.org:443", payload={"word": WORD})
        tx.execute(sa.update(models.threads).where(models.threads.c.owner == user.owner).values(thread))
    for run in (ended, waiting, running):
        entry = b'1700000000000event: values\r\ndata: {"word": "%s"}\r\n' % WORD.encode()
        backend.log._redis.rpush(log_key(run.run_id), entry)
    key_id, session_id = make_credentials(backend, user)
    named = {"assistant": assistant, "cron": make_cron(backend, user)}
    others: Things = named | {"checkpoint": new_id(), "key": key_id, "session": session_id}
    return [
        others | {"thread": run.thread_id, "run": run.run_id, "user": user.user_id, "email": str(user.email)}
        for run in (ended, waiting, running, gone)
    ]


def make_assistant(backend: Backend, user: User) -> UUID:
    """An assistant that a user has made."""
    columns = {name: {"word": WORD} for name in ("config", "context", "metadata")}
    with backend.db.begin() as tx:
        spec = AssistantSpec(graph_id="steps", name=WORD, **columns)
        return assistants.create(tx, principal_for(user), new_id(), spec).assistant_id


def make_cron(backend: Backend, user: User) -> UUID:
    """A cron of a user's."""
    told = {"payload": {"input": WORD}, "metadata": {"word": WORD}}
    values = {"thread_id": None, "schedule": "0 0 1 1 *", "timezone": None, "end_time": None, "enabled": True}
    with backend.db.begin() as tx:
        spec = RunSpec("steps", input=WORD, temporary=True)
        return add_cron(tx, backend, principal_for(user), spec, {**values, **told}).cron_id


def make_credentials(backend: Backend, user: User) -> tuple[UUID, UUID]:
    """A key and a session of a user: their ids."""
    make_key(backend, user)
    with backend.db.begin() as tx:
        begun = session_rows.begin(tx, user, browser=WORD, address="192.0.2.1", seconds=60)
        key_id = tx.scalar(sa.select(models.api_keys.c.key_id).where(models.api_keys.c.user_id == user.user_id))
    assert key_id is not None
    return key_id, begun.session_id


def unused(things: Things) -> Things:
    """As many ids that nobody has."""
    return {name: f"{new_id()}@example.com" if name == "email" else new_id() for name in things}


def with_key(app: Flask, backend: Backend, user: User, scope: Scope = Scope.ADMIN) -> FlaskClient:
    """A client that carries a key of this user, which was just used: a first use is noted aside, soon or late."""
    client = app.test_client()
    client.environ_base["HTTP_X_API_KEY"] = make_key(backend, user, scope=scope)
    with backend.db.begin() as tx:
        for key in keys.of_user(tx, user.user_id):
            keys.note_used(tx, key.key_id)
    return client


def with_session(app: Flask, backend: Backend, user: User) -> FlaskClient:
    """A client with a session of this user, and its CSRF token."""
    client = app.test_client()
    with app.test_request_context("/"), backend.db.begin() as tx:
        sessions.sign_in(tx, user, remember=False)
        token = sessions.csrf_token()
        kept = dict(session)
    with client.session_transaction() as cookie:
        cookie.update(kept)
    client.environ_base["HTTP_X_CSRFTOKEN"] = token
    return client


CALLERS = {"key": with_key, "session": with_session}


def a_stranger(app: Flask, backend: Backend, how: str) -> tuple[User, FlaskClient]:
    """Somebody who has nothing yet, and a client of theirs."""
    user = make_user(backend, f"{new_id()}@example.com", role=Role.USER)
    return user, CALLERS[how](app, backend, user)


def ask(client: FlaskClient, method: str, path: str, case: Case, things: Things) -> tuple[int, str, str]:
    """An answer as it can be compared with another one's: status, headers, body; ids and times masked.

    Of an answer that goes on (a stream, a wait) only the beginning.
    """
    query = _filled(case.query, things)
    body = {} if case.json is None else {"json": _filled(case.json, things)}
    answer = client.open(path, method=method, query_string=query, headers=case.headers, buffered=False, **body)
    with closing(answer):
        told = answer.get_data(as_text=True) if "Content-Length" in answer.headers or not answer.is_streamed else ""
        headers = sorted((name, value) for name, value in answer.headers if name not in _OF_EACH_ANSWER)
        return answer.status_code, _masked(str(headers)), _masked(told)


def _filled(template: Any, things: Things) -> Any:
    text = orjson.dumps(template).decode()
    for name, value in things.items():
        text = text.replace(f"{{{name}}}", str(value))
    return orjson.loads(text)


def _masked(text: str) -> str:
    return _SECRET.sub("<secret>", _TIME.sub("<time>", _ID.sub("<id>", text)))


def what_is_there(backend: Backend, user: User) -> dict[str, Any]:
    """All rows and all keys of Redis that belong to a user, to compare before and after."""
    found: dict[str, Any] = dict(_rows(backend, user))
    ids = [str(row["run_id"]) for row in found["runs"]]
    client = backend.log._redis
    found["redis"] = {key: client.dump(key) for key in client.keys("df:*") if any(i in key.decode() for i in ids)}
    return found


def _rows(backend: Backend, user: User) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with backend.db.read() as tx:
        for table in models.metadata.sorted_tables:
            column = next((table.c[name] for name in ("owner", "user_id") if name in table.c), None)
            if column is not None:
                value: Any = user.owner if column.name == "owner" else user.user_id
                rows = tx.execute(sa.select(table).where(column == value).order_by(*table.primary_key))
                yield table.name, [dict(row._mapping) for row in rows]
