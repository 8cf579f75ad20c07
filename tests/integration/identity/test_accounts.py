"""People sign in, look after their account, and sign out."""

import logging
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import argon2
import pytest
import sqlalchemy as sa
from flask import Flask

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import PERMISSIONS, Role, Scope, permissions_of
from deerflow.settings import Settings
from deerflow.storage import audit, models, users
from tests.factories import at_once, make_app, make_key, make_user
from tests.integration.identity.browsers import AUTH, PASSWORD, Browser
from tests.integration.identity.conftest import Client

NEW = "korrekt pferd batterie heftklammer"


@pytest.fixture
def open_app(settings: Settings, backend: Backend) -> Flask:
    """The app where strangers may register; its administrator has been set up."""
    make_user(backend, "admin@example.com", role=Role.ADMIN)
    chosen = {"auth": "accounts", "registration": True, "secret": "another-secret-that-is-long-enough-for-this"}
    return make_app(settings.model_copy(update=chosen), backend)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that take no time, for tests of what happens around them."""
    monkeypatch.setattr(passwords, "_hasher", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def actions(backend: Backend, action: str = "") -> list[str]:
    with backend.db.read() as tx:
        return [entry.action for entry in audit.page(tx, audit.Wanted((action,) if action else None), limit=100)]


def change(backend: Backend, user: User, **values: Any) -> None:
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.users).where(models.users.c.user_id == user.user_id).values(values))


def test_who_signs_in_owns_what_they_make(browser: Browser, ada: User) -> None:
    assert browser.post("/threads").status_code == 401
    answer = browser.login("  ADA@Example.com ")
    assert answer.status_code == 200
    assert answer.get_json()["user"]["user_id"] == ada.owner
    assert browser.post("/threads").status_code == 200
    assert browser.post("/threads/count").get_json() == 1


def test_me_tells_who_is_calling(signed_in: Browser, ada: User) -> None:
    shown = signed_in.get(f"{AUTH}/me").get_json()
    assert shown["user"] == {
        "user_id": ada.owner,
        "email": "ada@example.com",
        "name": None,
        "role": "user",
        "language": None,
        "time_zone": None,
        "scheme": None,
        "created_at": shown["user"]["created_at"],
    }
    assert set(shown["permissions"]) == permissions_of(Role.USER, None)
    assert signed_in.post("/threads", X_CSRFToken=shown["csrf_token"]).status_code == 200


@pytest.mark.parametrize("scope", Scope)
def test_me_tells_keys_too_without_a_token(as_user: Client, ada: User, scope: Scope) -> None:
    shown = as_user(ada, scope=scope).get(f"{AUTH}/me").get_json()
    assert shown["user"]["email"] == "ada@example.com"
    assert "csrf_token" not in shown


def test_a_key_decides_alone(signed_in: Browser, backend: Backend, stranger: User) -> None:
    """A request with a key and a cookie is the key's, and needs no CSRF token."""
    key = make_key(backend, stranger)
    assert signed_in.get(f"{AUTH}/me", X_Api_Key=key).get_json()["user"]["user_id"] == stranger.owner
    assert signed_in.post("/threads", X_Api_Key=key, X_CSRFToken=None).status_code == 200
    assert signed_in.get(f"{AUTH}/me", X_Api_Key="df_unknown").status_code == 401


def test_no_key_changes_an_account(as_user: Client, backend: Backend) -> None:
    admin = as_user(make_user(backend, "boss@example.com", role=Role.ADMIN), scope=Scope.ADMIN)
    assert admin.patch(f"{AUTH}/me", json={"name": "x"}).status_code == 403
    assert admin.get(f"{AUTH}/sessions").status_code == 403
    assert admin.post(f"{AUTH}/logout").status_code == 403


def test_who_is_not_signed_in_has_no_account_to_look_at(browser: Browser) -> None:
    for method, path in [("GET", "me"), ("PATCH", "me"), ("POST", "logout"), ("GET", "sessions")]:
        assert browser.open(method, f"{AUTH}/{path}", {}).status_code == 401


def test_an_administrator_may_all(browser: Browser, backend: Backend) -> None:
    make_user(backend, "boss@example.com", role=Role.ADMIN, password=passwords.hash(PASSWORD))
    assert set(browser.login("boss@example.com").get_json()["permissions"]) == PERMISSIONS


@pytest.mark.parametrize("case", ["wrong", "unknown", "disabled", "needs_setup", "no password"])
def test_whatever_is_wrong_looks_the_same(browser: Browser, backend: Backend, ada: User, case: str) -> None:
    """scenario 50: words, status and work do not tell who exists."""
    values: dict[str, dict[str, Any]] = {
        "disabled": {"disabled_at": datetime.now(UTC)},
        "needs_setup": {"needs_setup": True},
        "no password": {"password": None},
    }
    change(backend, ada, **values.get(case, {"name": "x"}))
    email = "nobody@example.com" if case == "unknown" else "ada@example.com"
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        real = argon2.PasswordHasher.verify
        patch.setattr(argon2.PasswordHasher, "verify", lambda me, kept, said: seen.append(kept) or real(me, kept, said))
        answer = browser.login(email, "quite another password" if case == "wrong" else PASSWORD)
    assert (answer.status_code, answer.get_json()) == (401, {"detail": "Wrong e-mail or password"})
    assert [argon2.extract_parameters(kept) for kept in seen] == [argon2.extract_parameters(passwords.hash("x"))]
    assert actions(backend) == ["session.fail"]


def test_an_old_hash_is_renewed_at_sign_in(browser: Browser, backend: Backend, ada: User) -> None:
    """Nobody is signed out for it."""
    assert browser.login("ada@example.com").status_code == 200
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    change(backend, ada, password=old)
    second = Browser(browser.client.application)
    assert second.login("ada@example.com").status_code == 200
    with backend.db.read() as tx:
        kept = users.get(tx, ada.user_id).password
    assert kept is not None
    assert kept != old
    assert not passwords.is_outdated(kept)
    assert browser.is_signed_in()
    assert Browser(browser.client.application).login("ada@example.com").status_code == 200


def test_a_password_changed_during_a_sign_in_decides(
    browser: Browser, backend: Backend, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right when it was looked at, and is wrong when the session would begin."""
    real = passwords.verify

    def verify(password: str, kept: str | None) -> bool:
        right = real(password, kept)
        with backend.db.begin() as tx:
            users.change_and_sign_out(tx, ada.user_id, password=passwords.hash(NEW))
        return right

    monkeypatch.setattr(passwords, "verify", verify)
    assert browser.login("ada@example.com").status_code == 401
    assert not browser.is_signed_in()


def test_a_profile_is_changed_field_by_field(signed_in: Browser) -> None:
    body = {"name": "  Ada Lovelace ", "language": "zh-CN", "time_zone": "Europe/London"}
    assert signed_in.open("PATCH", f"{AUTH}/me", body).status_code == 200
    assert signed_in.open("PATCH", f"{AUTH}/me", {"language": None}).status_code == 200
    shown = signed_in.get(f"{AUTH}/me").get_json()["user"]
    assert (shown["name"], shown["language"], shown["time_zone"]) == ("Ada Lovelace", None, "Europe/London")


def test_what_a_profile_cannot_be_is_422(signed_in: Browser) -> None:
    before = signed_in.get(f"{AUTH}/me").get_json()["user"]
    zones = ["Mars/Olympus", "../../etc/passwd", "Europe", "", "Europe/\u0000", 7]
    names = ["x" * 201, 7, "two\nlines", "\u202etxt.exe"]
    bodies = [{"time_zone": zone} for zone in zones] + [{"name": name} for name in names]
    for body in (*bodies, {"language": "tlh"}, ["name"]):
        assert signed_in.open("PATCH", f"{AUTH}/me", body).status_code == 422, body
    assert signed_in.get(f"{AUTH}/me").get_json()["user"] == before


def test_a_new_password_ends_every_other_session(signed_in: Browser, elsewhere: Browser, backend: Backend) -> None:
    body = {"password": PASSWORD, "new_password": NEW}
    before = signed_in.cookie
    assert signed_in.send(f"{AUTH}/change-password", body).status_code == 200
    assert signed_in.post("/threads").status_code == 200
    assert not elsewhere.is_signed_in()
    assert elsewhere.login("ada@example.com").status_code == 401
    assert elsewhere.login("ada@example.com", NEW).status_code == 200
    signed_in.cookie = before
    assert not signed_in.is_signed_in()
    assert actions(backend, "password.") == ["password.change"]


def test_a_new_email_ends_every_other_session(signed_in: Browser, elsewhere: Browser, backend: Backend) -> None:
    answer = signed_in.send(f"{AUTH}/change-email", {"password": PASSWORD, "email": " Ada@Lovelace.example"})
    assert answer.get_json()["user"]["email"] == "ada@lovelace.example"
    assert signed_in.post("/threads").status_code == 200
    assert not elsewhere.is_signed_in()
    assert elsewhere.login("ada@example.com").status_code == 401
    assert elsewhere.login("ada@lovelace.example").status_code == 200
    assert actions(backend, "email.") == ["email.change"]


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("change-password", {"password": "quite another one", "new_password": NEW}, 403),
    ("change-password", {"password": PASSWORD, "new_password": "short"}, 422),
    ("change-password", {"password": PASSWORD, "new_password": "Password1!"}, 422),
    ("change-password", {"password": PASSWORD, "new_password": "ada@example.com"}, 422),
    ("change-password", {"password": PASSWORD, "new_password": PASSWORD}, 422),
    ("change-password", {"password": PASSWORD, "new_password": "x" * 4097}, 422),
    ("change-password", {"password": PASSWORD}, 422),
    ("change-email", {"password": "quite another one", "email": "a@b.example"}, 403),
    ("change-email", {"password": PASSWORD, "email": "no address"}, 422),
    ("change-email", {"password": PASSWORD, "email": "ADMIN@example.com"}, 409),
]


def test_what_is_refused_changes_nothing(signed_in: Browser, elsewhere: Browser) -> None:
    for path, body, status in REFUSED:
        assert signed_in.post(f"{AUTH}/{path}", body).status_code == status, (path, body)
    assert signed_in.post("/threads").status_code == 200
    assert elsewhere.login("ada@example.com").status_code == 200


def test_of_two_changes_at_once_one_wins(signed_in: Browser, elsewhere: Browser) -> None:
    """Both knew the password; the second one's session is over, or its password is no longer it."""
    new = (NEW, NEW + " and more")
    answers = at_once(
        lambda: signed_in.post(f"{AUTH}/change-password", {"password": PASSWORD, "new_password": new[0]}).status_code,
        lambda: elsewhere.post(f"{AUTH}/change-password", {"password": PASSWORD, "new_password": new[1]}).status_code,
    )
    won, lost = sorted(answers)
    assert (won, lost in {401, 403, 409}) == (200, True)
    app = signed_in.client.application
    assert [Browser(app).login("ada@example.com", each).status_code == 200 for each in new] == [
        answer == 200 for answer in answers
    ]


def test_sessions_are_listed_and_ended(signed_in: Browser, elsewhere: Browser) -> None:
    found = {each["address"]: each for each in signed_in.get(f"{AUTH}/sessions").get_json()}
    assert {address: each["current"] for address, each in found.items()} == {"203.0.113.7": True, "198.51.100.9": False}
    assert "Werkzeug" in found["203.0.113.7"]["browser"]
    ended = signed_in.open("DELETE", f"{AUTH}/sessions/{found['198.51.100.9']['session_id']}")
    assert ended.status_code == 204
    assert not elsewhere.is_signed_in()
    assert signed_in.is_signed_in()
    assert signed_in.open("DELETE", f"{AUTH}/sessions/{uuid4()}").status_code == 404
    assert signed_in.open("DELETE", f"{AUTH}/sessions/{found['203.0.113.7']['session_id']}").status_code == 204
    assert not signed_in.is_signed_in()


def test_another_ones_session_is_not_there(signed_in: Browser, backend: Backend, accounts_app: Flask) -> None:
    make_user(backend, "mallory@example.com", password=passwords.hash(PASSWORD))
    mallory = Browser(accounts_app)
    mallory.login("mallory@example.com")
    theirs = signed_in.get(f"{AUTH}/sessions").get_json()[0]["session_id"]
    assert mallory.open("DELETE", f"{AUTH}/sessions/{theirs}").status_code == 404
    assert len(mallory.get(f"{AUTH}/sessions").get_json()) == 1
    assert signed_in.is_signed_in()


def test_all_other_sessions_end_at_once(signed_in: Browser, elsewhere: Browser) -> None:
    assert signed_in.open("DELETE", f"{AUTH}/sessions").get_json() == {"ended": 1}
    assert signed_in.is_signed_in()
    assert not elsewhere.is_signed_in()


def test_who_registers_is_signed_in(open_app: Flask, backend: Backend) -> None:
    browser = Browser(open_app)
    browser.load()
    answer = browser.send(f"{AUTH}/register", {"email": "New@Example.com", "password": PASSWORD, "name": "N"})
    assert answer.status_code == 201
    assert (answer.get_json()["user"]["email"], answer.get_json()["user"]["role"]) == ("new@example.com", "user")
    assert browser.post("/threads").status_code == 200
    assert Browser(open_app).login("new@example.com").status_code == 200
    assert actions(backend, "user.") == ["user.create"]


def test_registration_is_off_unless_it_is_switched_on(browser: Browser) -> None:
    browser.load()
    answer = browser.post(f"{AUTH}/register", {"email": "new@example.com", "password": PASSWORD})
    assert (answer.status_code, "switched off" in answer.get_json()["detail"]) == (403, True)


NO_ACCOUNTS: list[tuple[dict[str, Any], int]] = [
    ({"email": "new@example.com", "password": "short"}, 422),
    ({"email": "new@example.com", "password": "qwertyuiop"}, 422),
    ({"email": "new@example.com", "password": "new@example.com"}, 422),
    ({"email": "new", "password": PASSWORD}, 422),
    ({"email": "new@example.com\n", "password": 7}, 422),
    ({"email": "x" * 500 + "@example.com", "password": PASSWORD}, 422),
    ({"email": "n\u202eew@example.com", "password": PASSWORD}, 422),
    ({"email": "\uff21DA@example.com ", "password": PASSWORD}, 409),
]


@pytest.mark.usefixtures("ada")
def test_what_no_account_can_be_is_refused(open_app: Flask, backend: Backend) -> None:
    """scenario 50: no e-mail twice, however it is written."""
    browser = Browser(open_app)
    browser.load()
    for body, status in NO_ACCOUNTS:
        assert browser.post(f"{AUTH}/register", body).status_code == status, body
    with backend.db.read() as tx:
        assert {user.email for user in users.page(tx, limit=10)} == {"admin@example.com", "ada@example.com"}


@pytest.mark.usefixtures("cheap", "patient")
def test_of_a_hundred_registrations_at_once_one_wins(open_app: Flask, backend: Backend) -> None:
    """From a hundred addresses, with the e-mail in a hundred spellings."""
    spellings = ["new@example.com", "New@Example.com", " NEW@example.com ", "\uff4eew@example.com"]

    def one(number: int) -> int:
        browser = Browser(open_app, address=f"198.51.100.{number}")
        browser.load()
        return browser.post(
            f"{AUTH}/register", {"email": spellings[number % 4], "password": f"{PASSWORD} {number}"}
        ).status_code

    answers = at_once(*[lambda number=number: one(number) for number in range(100)])
    assert sorted(answers) == [201] + [409] * 99
    with backend.db.read() as tx:
        assert [user.email for user in users.page(tx, limit=10)] == ["admin@example.com", "new@example.com"]
    assert actions(backend, "user.") == ["user.create"]


@pytest.mark.usefixtures("cheap")
def test_registrations_of_one_address_are_limited(open_app: Flask, backend: Backend) -> None:
    def one(number: int) -> int:
        browser = Browser(open_app)
        browser.load()
        return browser.post(f"{AUTH}/register", {"email": f"new{number}@example.com", "password": PASSWORD}).status_code

    answers = at_once(*[lambda number=number: one(number) for number in range(30)])
    assert sorted(answers) == [201] * 10 + [429] * 20
    with backend.db.read() as tx:
        assert len(users.page(tx, limit=100)) == 1 + 10


def test_nothing_secret_is_written_down(
    accounts_app: Flask, backend: Backend, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    """scenario 50: neither log nor audit learn passwords, tokens or cookies, right or wrong."""
    caplog.set_level(logging.DEBUG)
    wrong = "a-wrong-password-that-is-nobodys"
    browser = Browser(accounts_app)
    browser.login("ada@example.com", wrong)
    browser.login("ada@example.com", PASSWORD)
    secrets = [wrong, PASSWORD, NEW, browser.token, browser.cookie]
    browser.post(f"{AUTH}/change-password", {"password": wrong, "new_password": NEW})
    browser.send(f"{AUTH}/change-password", {"password": PASSWORD, "new_password": NEW})
    secrets += [browser.token, browser.cookie]
    browser.post(f"{AUTH}/logout")
    with backend.db.read() as tx:
        rows = [tuple(row) for row in tx.execute(sa.select(models.audit))]
        kept = users.get(tx, ada.user_id).password
    assert [row.action for row in reversed(_entries(backend))] == [
        "session.fail", "session.begin", "password.fail", "password.change", "session.end",
    ]  # fmt: skip
    written = repr(rows) + caplog.text + repr([record.__dict__ for record in caplog.records])
    assert kept is not None
    assert [each for each in [*secrets, kept] if each in written] == []


def _entries(backend: Backend) -> list[Any]:
    with backend.db.read() as tx:
        return list(audit.page(tx, limit=100))


def test_the_audit_says_who_and_from_where(signed_in: Browser, backend: Backend, ada: User) -> None:
    signed_in.post(f"{AUTH}/logout")
    ended, begun = _entries(backend)
    assert (begun.actor, begun.address) == (ada.owner, "203.0.113.7")
    assert ended.subject == begun.subject


def test_without_accounts_nobody_signs_in(settings: Settings, backend: Backend) -> None:
    """Mode none says so, and tells who everybody is."""
    app = make_app(settings, backend)
    client = app.test_client()
    for path in ("login", "register"):
        answer = client.post(f"{AUTH}/{path}", json={"email": "a@example.com", "password": PASSWORD})
        assert answer.status_code == 409
        assert "DEERFLOW_AUTH=none" in answer.get_json()["detail"]
    assert client.get(f"{AUTH}/csrf").status_code == 409
    assert client.get(f"{AUTH}/me").get_json()["user"] == {"user_id": "local"}
    assert "Set-Cookie" not in client.get(f"{AUTH}/me").headers


def test_nothing_of_an_account_is_cached(signed_in: Browser) -> None:
    for path in ("csrf", "me", "sessions"):
        assert signed_in.get(f"{AUTH}/{path}").headers["Cache-Control"] == "no-store"
    refused = signed_in.post(f"{AUTH}/logout", X_CSRFToken=None)
    assert (refused.status_code, refused.headers["Cache-Control"]) == (403, "no-store")


@pytest.mark.parametrize("path", ["login", "register", "initialize", "reset-password"])
@pytest.mark.parametrize("sized", [True, False])
def test_little_is_read_of_who_may_be_anybody(accounts_app: Flask, path: str, *, sized: bool) -> None:
    """To read the JSON of a large body keeps the process busy for seconds: nobody may do that before they are known."""
    body = b'{"email": ["' + b'","' * 50_000 + b'"]}'
    given: dict[str, Any] = {"data": body}
    if not sized:
        chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        given = {"input_stream": BytesIO(body), "environ_overrides": chunked}
    answer = accounts_app.test_client().post(f"{AUTH}/{path}", content_type="application/json", **given)
    assert (answer.status_code, "131072 bytes" in answer.text) == (413, True)


def test_the_longest_passwords_are_read(signed_in: Browser) -> None:
    """Also where each character takes the most room."""
    longest = {"token": "x", "password": "\U0001f98c" * 4096, "again": "\U0001f98c" * 4096}
    assert signed_in.post(f"{AUTH}/reset-password", longest).status_code == 403
    assert len(urlencode(longest)) < 131_072
