"""How often passwords may be guessed: by one address, at one account, with one session."""

from collections.abc import Iterator
from contextlib import contextmanager

import argon2
import pytest
from flask import Flask

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.errors import Unavailable
from deerflow.events.connections import connect
from deerflow.settings import Settings
from tests.factories import at_once, make_user
from tests.integration.identity.browsers import AUTH, PASSWORD, Browser

WRONG = "not the password of anybody"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that take no time: here they are looked at often."""
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_nobodys", hasher.hash("nobody's"))


def guess(app: Flask, address: str, *, email: str = "ada@example.com", password: str = WRONG) -> int:
    """A try of a script at this address."""
    client = app.test_client(use_cookies=False)
    sent = {"email": email, "password": password}
    answer = client.post(f"{AUTH}/login", json=sent, environ_overrides={"REMOTE_ADDR": address})
    if answer.status_code == 429:
        assert 1 <= int(answer.headers["Retry-After"]) <= 3600
    return answer.status_code


def guesses(app: Flask, address: str, times: int, *, email: str = "ada@example.com") -> list[int]:
    return [guess(app, address, email=email) for _ in range(times)]


@pytest.mark.usefixtures("ada")
def test_five_failures_lock_an_address(accounts_app: Flask) -> None:
    """For the right password too, and for no other address."""
    assert guesses(accounts_app, "192.0.2.1", 6) == [401] * 5 + [429]
    assert guess(accounts_app, "192.0.2.1", password=PASSWORD) == 429
    assert guess(accounts_app, "192.0.2.2", password=PASSWORD) == 200


@pytest.mark.usefixtures("ada")
def test_an_address_is_told_how_long(accounts_app: Flask) -> None:
    guesses(accounts_app, "192.0.2.1", 5)
    client = accounts_app.test_client()
    answer = client.post(
        f"{AUTH}/login",
        json={"email": "a@b.example", "password": WRONG},
        environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
    )
    assert 290 <= int(answer.headers["Retry-After"]) <= 300


@pytest.mark.usefixtures("ada")
def test_success_is_no_failure(accounts_app: Flask) -> None:
    for _ in range(3):
        assert guesses(accounts_app, "192.0.2.1", 1) == [401]
        assert [guess(accounts_app, "192.0.2.1", password=PASSWORD) for _ in range(4)] == [200] * 4
    assert guesses(accounts_app, "192.0.2.1", 3) == [401, 401, 429]


@pytest.mark.usefixtures("ada")
def test_guesses_at_the_same_time_count_each(accounts_app: Flask, second_app: Flask) -> None:
    """In two processes together: none slips by while another is looked at."""
    apps = [accounts_app, second_app] * 10
    answers = at_once(*[lambda app=app: guess(app, "192.0.2.1") for app in apps])
    assert sorted(answers) == [401] * 5 + [429] * 15


@pytest.mark.usefixtures("ada")
def test_many_who_sign_in_at_once_lock_nobody_out(accounts_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a crowd behind one address some wait a little until the others' passwords were right."""
    monkeypatch.setattr("deerflow.identity.guesses._PATIENCE_SECONDS", 30.0)
    answers = at_once(*[lambda: guess(accounts_app, "192.0.2.1", password=PASSWORD) for _ in range(20)])
    assert answers == [200] * 20
    assert guesses(accounts_app, "192.0.2.1", 6) == [401] * 5 + [429]


@pytest.mark.usefixtures("ada")
def test_a_sign_in_holds_though_its_count_cannot_be_given_back(
    accounts_app: Flask, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away in between: then it counts as one failure."""

    def away(*_args: object) -> None:
        raise Unavailable("Redis does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(backend.limits, "give_back", away)
        assert guess(accounts_app, "192.0.2.1", password=PASSWORD) == 200
    assert guesses(accounts_app, "192.0.2.1", 5) == [401] * 4 + [429]


@pytest.mark.usefixtures("ada")
def test_guesses_count_while_the_database_takes_no_entries(
    accounts_app: Flask, signed_in: Browser, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who keeps its one writer busy gets no guess more by it."""

    @contextmanager
    def busy() -> Iterator[None]:
        raise Unavailable("The database is busy; try again")
        yield

    body = {"password": "wrong", "new_password": "plum ladder quartz echo"}
    with monkeypatch.context() as patch:
        patch.setattr(backend.db, "begin", busy)
        assert guesses(accounts_app, "192.0.2.1", 6) == [401] * 5 + [429]
        told = [signed_in.post(f"{AUTH}/change-password", body).status_code for _ in range(6)]
    assert told == [403] * 5 + [429]


@pytest.mark.usefixtures("ada")
def test_a_line_of_ipv6_is_one_address(accounts_app: Flask) -> None:
    lines = [f"2001:db8:1:2:{number:x}::1" for number in range(6)]
    assert [guess(accounts_app, each) for each in lines] == [401] * 5 + [429]
    assert guess(accounts_app, "2001:db8:1:3::1") == 401


@pytest.mark.usefixtures("ada")
def test_made_up_forwarded_addresses_do_not_help(accounts_app: Flask) -> None:
    client = accounts_app.test_client()
    answers = [
        client.post(
            f"{AUTH}/login",
            json={"email": "ada@example.com", "password": WRONG},
            headers={"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"},
            environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
        ).status_code
        for number in range(6)
    ]
    assert answers == [401] * 5 + [429]


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
@pytest.mark.usefixtures("ada")
def test_thirty_failures_lock_an_account_for_strangers(accounts_app: Flask, backend: Backend, email: str) -> None:
    """Whether it exists or not, from wherever they come; other accounts are not touched."""
    make_user(backend, "grace@example.com", password=passwords.hash(PASSWORD))
    for number in range(6):
        assert guesses(accounts_app, f"192.0.2.{number}", 5, email=email) == [401] * 5
    assert guess(accounts_app, "192.0.2.100", email=email) == 429
    assert guess(accounts_app, "192.0.2.100", email=email.upper(), password=PASSWORD) == 429
    assert guess(accounts_app, "192.0.2.100", email="grace@example.com", password=PASSWORD) == 200


def test_nobody_locks_the_owner_out(accounts_app: Flask, signed_in: Browser) -> None:
    """Where somebody is signed in to the account the limit of strangers does not hold, as long as they are."""
    for number in range(6):
        guesses(accounts_app, f"192.0.2.{number}", 5)
    home = signed_in.address
    assert guess(accounts_app, "192.0.2.100", password=PASSWORD) == 429
    assert guess(accounts_app, home, password=PASSWORD) == 200
    assert guesses(accounts_app, home, 6) == [401] * 5 + [429]
    assert signed_in.is_signed_in()


def test_an_address_is_home_no_longer_than_the_session(accounts_app: Flask, signed_in: Browser) -> None:
    signed_in.post(f"{AUTH}/logout")
    for number in range(6):
        guesses(accounts_app, f"192.0.2.{number}", 5)
    assert guess(accounts_app, signed_in.address, password=PASSWORD) == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [("change-password", {"new_password": "plum ladder 2 quartz"}), ("change-email", {"email": "a@b.c"})],
)
def test_a_session_guesses_no_password(signed_in: Browser, elsewhere: Browser, path: str, body: dict[str, str]) -> None:
    """scenario 50: a stolen session has five tries at both together, and takes none of its owner's."""
    answers = at_once(
        *[lambda: signed_in.post(f"{AUTH}/{path}", {"password": WRONG, **body}).status_code for _ in range(12)]
    )
    assert sorted(answers) == [403] * 5 + [429] * 7
    other = {"password": PASSWORD, "email": "new@example.com"}
    assert signed_in.post(f"{AUTH}/change-email", other).status_code == 429
    assert elsewhere.post(f"{AUTH}/change-email", other).status_code == 200


def test_nobody_asks_without_end_who_has_an_account(signed_in: Browser, backend: Backend) -> None:
    """Not by wanting the e-mail of somebody else; a wrong password does not count here."""
    make_user(backend, "taken@example.com")
    body = {"password": PASSWORD, "email": "taken@example.com"}
    assert signed_in.post(f"{AUTH}/change-email", {**body, "password": WRONG}).status_code == 403
    assert [signed_in.post(f"{AUTH}/change-email", body).status_code for _ in range(11)] == [409] * 10 + [429]
    other = {"password": PASSWORD, "new_password": "owl-Tundra-velvet-41"}
    assert signed_in.post(f"{AUTH}/change-password", other).status_code == 200


def test_a_failure_that_the_audit_misses_counts_too(
    accounts_app: Flask, signed_in: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who keeps the database busy gets no guess back."""

    def busy(*_args: object, **_facts: object) -> None:
        raise Unavailable("The database is busy")

    monkeypatch.setattr("deerflow.storage.audit.note", busy)
    assert guesses(accounts_app, "192.0.2.1", 6) == [401] * 5 + [429]
    body = {"password": WRONG, "email": "new@example.com"}
    answers = [signed_in.post(f"{AUTH}/change-email", body).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]


def test_a_body_that_is_refused_is_no_guess(accounts_app: Flask, ada: User) -> None:
    client = accounts_app.test_client()
    for body in ({}, {"email": "x"}, {"email": "x", "password": "y"}, {"email": ada.email, "password": "y" * 4097}, []):
        for _ in range(2):
            assert client.post(f"{AUTH}/login", json=body).status_code == 422
    assert client.post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD}).status_code == 200


@pytest.mark.usefixtures("ada")
def test_counters_end_by_themselves_and_name_nobody(accounts_app: Flask, settings: Settings) -> None:
    guesses(accounts_app, "192.0.2.1", 5)
    client = connect(settings.redis)
    keys = [key.decode() for key in client.scan_iter("df:limit:*")]
    assert len(keys) == 2
    assert all(0 < client.ttl(key) <= 3600 for key in keys)
    assert not any("ada" in key for key in keys)
    client.close()
