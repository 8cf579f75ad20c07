"""Whoever loses the right to read while an answer is open hears no more of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from deerflow.backend import Backend
from deerflow.domain.accounts import User, principal_of
from deerflow.domain.ids import new_id
from deerflow.domain.principal import LOCAL, PERMISSIONS, Principal, Proof
from deerflow.errors import Unavailable
from deerflow.identity import standing as standing_module
from deerflow.identity.standing import Standing
from deerflow.storage import keys, models, sessions, users
from tests.conftest import wait_for
from tests.factories import claim_run, finish_run, make_key, make_run, make_user, row_of

PAST = datetime.now(UTC) - timedelta(seconds=1)


def key_of(backend: Backend, user: User) -> Principal:
    """This user, through a new key."""
    make_key(backend, user)
    with backend.db.read() as tx:
        key = keys.of_user(tx, user.user_id)[0]
    return principal_of(user, proof=Proof.KEY, credential=key.key_id, scope=key.scope)


def session_of(backend: Backend, user: User) -> Principal:
    """This user, signed in."""
    with backend.db.begin() as tx:
        row = sessions.begin(tx, user, browser="", address="", seconds=600)
    return principal_of(user, proof=Proof.SESSION, credential=row.session_id)


def named(_backend: Backend, user: User) -> Principal:
    """This user, as a proxy names them."""
    return principal_of(user, proof=Proof.HEADER)


def set_row(tx: sa.Connection, table: sa.Table, column: str, key: object, **values: object) -> None:
    tx.execute(sa.update(table).where(table.c[column] == key).values(**values))


LOSSES: dict[str, tuple[Callable[[Backend, User], Principal], Callable[[Any, User, UUID], object]]] = {
    "key revoked": (key_of, lambda tx, user, key: keys.revoke(tx, user.user_id, key)),
    "key expired": (key_of, lambda tx, _, key: set_row(tx, models.api_keys, "key_id", key, expires_at=PAST)),
    "key's user disabled": (key_of, lambda tx, user, _: users.change(tx, user.user_id, disabled_at=PAST)),
    "session ended": (session_of, lambda tx, user, session: sessions.end(tx, user.user_id, session)),
    "session expired": (
        session_of,
        lambda tx, _, session: set_row(tx, models.sessions, "session_id", session, expires_at=PAST),
    ),
    "version raised": (session_of, lambda tx, user, _: users.change_and_sign_out(tx, user.user_id)),
    "session's user disabled": (session_of, lambda tx, user, _: users.change(tx, user.user_id, disabled_at=PAST)),
    "named user disabled": (named, lambda tx, user, _: users.change(tx, user.user_id, disabled_at=PAST)),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_taken_back_holds_no_longer(backend: Backend, owner: User, stranger: User, loss: str) -> None:
    """And everybody else's does."""
    standing = Standing(look_seconds=0)
    make, lose = LOSSES[loss]
    caller, other = make(backend, owner), make(backend, stranger)
    ours, theirs = standing.question(backend, caller), standing.question(backend, other)
    assert (ours(), theirs()) == (True, True)
    with backend.db.begin() as tx:
        lose(tx, owner, caller.credential or owner.user_id)
    assert (ours(), theirs()) == (False, True)


def test_a_caller_without_an_account_holds_for_ever(backend: Backend) -> None:
    """Mode ``none`` has nobody to take anything from; a handler's own answer is the handler's business."""
    for proof in (Proof.NONE, Proof.HANDLER):
        assert Standing(look_seconds=0).question(backend, Principal(LOCAL, PERMISSIONS, proof))()


def test_one_look_answers_for_all(backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many callers ask, the database is asked once for many of them, and not again for a while."""
    looks: list[int] = []

    def good(tx: sa.Connection, ids: list[UUID]) -> set[UUID]:
        looks.append(len(ids))
        return keys.good(tx, ids)

    monkeypatch.setitem(standing_module._GOOD, Proof.KEY, good)
    standing = Standing(look_seconds=60)
    real = key_of(backend, owner)
    callers = [real, *(replace(real, credential=new_id()) for _ in range(449))]
    questions = [standing.question(backend, caller) for caller in callers]
    assert all(question() for question in questions), "each was identified just now"
    assert looks == []
    standing._look_seconds = 0
    assert questions[0]()
    assert looks == [200, 200, 50]
    standing._look_seconds = 60
    assert [question() for question in questions] == [True] + [False] * 449
    assert len(looks) == 3


def test_what_nobody_asks_about_any_more_is_forgotten(backend: Backend, owner: User) -> None:
    standing = Standing(look_seconds=0)
    asking = standing.question(backend, key_of(backend, owner))
    standing.question(backend, key_of(backend, owner))
    assert asking()
    assert len(standing._known) == 2
    for known in standing._known.values():
        known.asked -= 61
    assert asking()
    assert len(standing._known) == 1


def test_answers_that_are_over_before_they_ask_are_forgotten_too(backend: Backend, owner: User) -> None:
    """So a server of which nobody streams for long remembers no more than a minute's callers."""
    standing = Standing()
    caller = key_of(backend, owner)
    for _ in range(3):
        standing.question(backend, replace(caller, credential=new_id()))
    assert len(standing._known) == 3
    for known in standing._known.values():
        known.asked -= 61
    standing._forget_at -= 61
    standing.question(backend, caller)
    assert len(standing._known) == 1


def test_a_database_that_is_away_sends_nobody_away(
    backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is back the truth holds."""
    standing = Standing(look_seconds=0)
    caller = key_of(backend, owner)
    question = standing.question(backend, caller)
    with backend.db.begin() as tx:
        keys.revoke(tx, owner.user_id, caller.credential or new_id())

    @contextmanager
    def away() -> Iterator[None]:
        raise Unavailable("away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "read", away)
        assert question()
    assert not question()


PATIENT = {"assistant_id": "steps", "input": {}}
CUT = {
    "stream": ("GET", "/threads/{thread}/runs/{run}/stream"),
    "join": ("GET", "/threads/{thread}/runs/{run}/join"),
    "join as a stream": ("GET", "/api/threads/{thread}/runs/{run}/join"),
    "cancel and wait": ("POST", "/threads/{thread}/runs/{run}/cancel?wait=1"),
    "by its id alone": ("GET", "/runs/{run}/stream"),
    "new stream": ("POST", "/threads/{thread}/runs/stream"),
    "new wait": ("POST", "/threads/{thread}/runs/wait"),
    "new stateless stream": ("POST", "/runs/stream"),
    "new stateless wait": ("POST", "/runs/wait"),
}
TOLD = {
    "cancel and wait at the gateway": ("POST", "/api/threads/{thread}/runs/{run}/cancel?wait=1"),
    "stream with cancel and wait": ("GET", "/threads/{thread}/runs/{run}/stream?action=interrupt&wait=1"),
    "events": ("GET", "/threads/{thread}/runs/{run}/events?after=99&wait=50"),
    "poll": ("GET", "/threads/{thread}/runs/{run}"),
}


class Asked:
    """A request under way in a thread; what came of it."""

    def __init__(self, app: Flask, method: str, path: str, key: str) -> None:
        self.chunks: list[bytes] = []
        self.status: int | None = None
        self.cut = self.whole = False
        headers = {"x-api-key": key, "Prefer": "wait=50"}
        body = PATIENT if method == "POST" else None
        self._thread = Thread(target=self._ask, args=(app, method, path, headers, body))
        self._thread.start()

    def _ask(self, app: Flask, method: str, path: str, headers: dict[str, str], body: object) -> None:
        answer: TestResponse = app.test_client().open(path, method=method, headers=headers, json=body)
        self.status = answer.status_code
        try:
            for chunk in answer.iter_encoded():
                self.chunks.append(chunk)
        except ConnectionResetError:
            self.cut = True
        else:
            self.whole = True
        finally:
            answer.close()

    def end(self) -> None:
        """Wait for its end."""
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def quick_app(accounts_app: Flask, backend: Backend) -> Flask:
    """The app with heartbeats, and looks, that a test can wait for."""
    object.__setattr__(backend, "rules", replace(backend.rules, heartbeat_seconds=0.1))
    accounts_app.extensions["deerflow.standing"] = Standing(look_seconds=0)
    return accounts_app


@pytest.mark.parametrize("name", [*CUT, *TOLD])
def test_every_open_answer_ends(quick_app: Flask, backend: Backend, owner: User, name: str) -> None:
    """Cut where it has begun (nobody takes that for an end), 401 where it has not; and asking again is 401."""
    key = make_key(backend, owner)
    caller = principal_of(owner, proof=Proof.KEY)
    running = claim_run(backend, make_run(backend, caller, temporary=name == "by its id alone"))
    assert running is not None
    method, path = (CUT | TOLD)[name]
    path = path.format(thread=running.thread_id, run=running.run_id)
    asked = Asked(quick_app, method, path, key)
    if name in CUT:
        wait_for(lambda: any(b"heartbeat" in chunk or chunk == b"\n" for chunk in asked.chunks), what="heartbeats")
    else:
        wait_for(lambda: quick_app.extensions["deerflow.standing"]._known, what="the first question")
        assert asked.status is None
    with backend.db.begin() as tx:
        keys.revoke(tx, owner.user_id, keys.of_user(tx, owner.user_id)[0].key_id)
    asked.end()
    assert (asked.status, asked.cut) == ((200, True) if name in CUT else (401, False))
    assert not b"".join(asked.chunks).count(b"retry:"), "there is no haste to come back"
    assert quick_app.test_client().open(path, method=method, headers={"x-api-key": key}).status_code == 401
    assert not row_of(backend, running).is_terminal


def test_a_good_key_reads_to_the_end(quick_app: Flask, backend: Backend, owner: User) -> None:
    """Through many heartbeats; what another loses is not its business."""
    running = claim_run(backend, make_run(backend, principal_of(owner, proof=Proof.KEY)))
    assert running is not None
    asked = Asked(
        quick_app, "GET", f"/threads/{running.thread_id}/runs/{running.run_id}/stream", make_key(backend, owner)
    )
    wait_for(lambda: len(asked.chunks) > 5, what="heartbeats")
    other = make_user(backend, "other@example.com")
    with backend.db.begin() as tx:
        users.change_and_sign_out(tx, other.user_id, disabled_at=PAST)
    assert finish_run(backend, running)
    backend.log.wake(running.run_id)
    asked.end()
    assert (asked.status, asked.cut, asked.whole) == (200, False, True)
