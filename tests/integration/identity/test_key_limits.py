"""How often a key may be used, how many keys may be guessed, and when a key was last used."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from deerflow.backend import Backend
from deerflow.domain.accounts import ApiKey, User
from deerflow.errors import Unavailable
from deerflow.identity import keys as identity_keys
from deerflow.settings import Settings
from deerflow.storage import keys, models
from deerflow.storage.uses import Uses
from tests.conftest import wait_for
from tests.factories import make_app, make_key
from tests.integration.api.conftest import detail
from tests.integration.identity.conftest import SECRET, until_noted

Ask = Callable[..., int]


@pytest.fixture
def ask(accounts_app: Flask) -> Ask:
    """Read with this key, from this address: the status."""

    def ask(key: str, address: str = "192.0.2.1") -> int:
        return (
            accounts_app.test_client()
            .post("/threads/count", json={}, headers={"x-api-key": key}, environ_base={"REMOTE_ADDR": address})
            .status_code
        )

    return ask


def row_of(backend: Backend, user: User) -> ApiKey:
    with backend.db.read() as tx:
        return keys.of_user(tx, user.user_id)[0]


@pytest.fixture
def three_a_minute(settings: Settings, backend: Backend, accounts_app: Flask) -> Iterator[Callable[[], Flask]]:
    """Makes web processes in which a key may make three requests a minute."""
    assert accounts_app

    def make() -> Flask:
        told = {"auth": "accounts", "secret": SECRET, "key_requests_per_minute": 3}
        return make_app(settings.model_copy(update=told), backend)

    return make


def test_a_key_may_make_so_many_requests(three_a_minute: Callable[[], Flask], backend: Backend, owner: User) -> None:
    """Counted by all web processes together, for each key alone."""
    one, other = three_a_minute().test_client(), three_a_minute().test_client()
    key, another = make_key(backend, owner), make_key(backend, owner)
    codes = [
        client.post("/threads/count", json={}, headers={"x-api-key": key}).status_code for client in (one, other, one)
    ]
    assert codes == [200] * 3
    for client in (one, other):
        refused = client.post("/threads/count", json={}, headers={"x-api-key": key})
        assert "3 requests in a minute" in detail(refused, 429)
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert client.post("/threads/count", json={}, headers={"x-api-key": another}).status_code == 200


def test_without_the_setting_a_key_asks_redis_for_nothing(ask: Ask, backend: Backend, owner: User) -> None:
    key = make_key(backend, owner)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(backend.limits, "spend", lambda *_: pytest.fail("it was counted"))
        assert ask(key) == 200


def test_guessing_is_limited_and_good_keys_are_not(
    ask: Ask, backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By address: who shares it goes on, and so does whoever comes from elsewhere."""
    monkeypatch.setattr(identity_keys, "_GUESSES", identity_keys.Limit("guesses", 5, 300, "Too many"))
    key = make_key(backend, owner)
    assert [ask(f"df_{number}") for number in range(7)] == [401] * 5 + [429] * 2
    assert ask(key) == 200
    assert ask("df_unknown", "192.0.2.2") == 401
    assert ask("not-ours") == 401, "it is looked up nowhere, so it is no guess"


def test_a_key_that_was_good_once_is_no_guess(
    accounts_app: Flask, ask: Ask, backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its programs come back for long, and are told what has become of it."""
    monkeypatch.setattr(identity_keys, "_GUESSES", identity_keys.Limit("guesses", 1, 300, "Too many"))
    key = make_key(backend, owner, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert [ask(key) for _ in range(3)] == [401] * 3
    told = accounts_app.test_client().post("/threads/count", json={}, headers={"x-api-key": key})
    assert detail(told, 401) == "This API key is revoked or expired"


def test_without_redis_a_guess_fails_and_a_key_is_good(
    ask: Ask, backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable("Redis does not answer")

    monkeypatch.setattr(backend.limits, "spend", away)
    assert ask("df_unknown") == 401
    assert ask(make_key(backend, owner)) == 200


def test_the_last_use_is_noted_once_a_minute(ask: Ask, backend: Backend, owner: User) -> None:
    key = make_key(backend, owner)
    assert row_of(backend, owner).last_used_at is None
    assert ask(key) == 200
    noted = wait_for(lambda: row_of(backend, owner).last_used_at, what="the note")
    for _ in range(3):
        assert ask(key) == 200
    until_noted(backend)
    assert row_of(backend, owner).last_used_at == noted
    _make_older(backend, seconds=61)
    assert ask(key) == 200
    until_noted(backend)
    older = row_of(backend, owner).last_used_at
    assert older is not None
    assert older < noted, "this process has noted it less than a minute ago"
    object.__setattr__(backend, "uses", Uses(backend.db))
    assert ask(key) == 200
    wait_for(lambda: (row_of(backend, owner).last_used_at or older) > older, what="the note of another process")


def _make_older(backend: Backend, *, seconds: int) -> None:
    with backend.db.begin() as tx:
        at = tx.scalar(sa.select(models.api_keys.c.last_used_at))
        assert at is not None
        tx.execute(sa.update(models.api_keys).values(last_used_at=at - timedelta(seconds=seconds)))


def test_a_request_neither_waits_for_its_note_nor_fails_with_it(
    ask: Ask, backend: Backend, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database takes no writes: busy at first, then away. The next minute has another chance."""
    key, other = make_key(backend, owner), make_key(backend, owner)
    asked, free = threading.Event(), threading.Event()

    @contextmanager
    def busy() -> Iterator[None]:
        asked.set()
        assert free.wait(20)
        raise Unavailable("The database is busy; try again")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "begin", busy)
        assert ask(key) == 200
        assert asked.wait(20)
        assert ask(other) == 200
        free.set()
        until_noted(backend)
    assert row_of(backend, owner).last_used_at is None
    object.__setattr__(backend, "uses", Uses(backend.db))
    assert ask(other) == 200
    wait_for(lambda: row_of(backend, owner).last_used_at, what="the note")


def test_a_failing_note_does_not_end_the_notes(ask: Ask, backend: Backend, owner: User) -> None:
    key = make_key(backend, owner)

    def broken(_tx: object) -> None:
        raise ZeroDivisionError

    backend.uses.note(owner.user_id, broken)
    until_noted(backend)
    assert ask(key) == 200
    wait_for(lambda: row_of(backend, owner).last_used_at, what="the note")


def test_refused_keys_are_not_used(ask: Ask, backend: Backend, owner: User) -> None:
    """Neither a revoked one nor one that an address has only guessed."""
    key = make_key(backend, owner)
    with backend.db.begin() as tx:
        keys.revoke(tx, owner.user_id, row_of(backend, owner).key_id)
    assert ask(key) == 401
    until_noted(backend)
    assert row_of(backend, owner).last_used_at is None
