"""Administrators look after accounts; one-time links set passwords; the audit tells of both."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from deerflow.auth import links
from deerflow.auth.links import Link
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Role, Scope
from deerflow.storage import users
from tests.factories import at_once, make_key, make_user
from tests.integration.identity.browsers import AUTH, PASSWORD, Browser
from tests.integration.identity.conftest import SECRET, Client
from tests.integration.identity.stranger import with_session

NEW = "another plum of quartz"
ADA = "ada@example.com"


@pytest.fixture
def admin(backend: Backend, as_user: Client) -> FlaskClient:
    """An administrator's client."""
    return as_user(found(backend, "admin@example.com"), scope=Scope.ADMIN)


def found(backend: Backend, email: str) -> User:
    with backend.db.read() as tx:
        user = users.find_by_email(tx, email)
    assert user is not None
    return user


def invited(admin: FlaskClient, email: str = ADA, **fields: Any) -> Any:
    """A new account as its administrator is told of it."""
    made = admin.post(f"{AUTH}/users", json={"email": email, **fields})
    assert made.status_code == 201, made.text
    return made.get_json()


def reset(app: Flask, token: str, password: str = NEW) -> int:
    answer = app.test_client().post(f"{AUTH}/reset-password", json={"token": token, "password": password})
    return answer.status_code


def actions(admin: FlaskClient, **query: str) -> list[str]:
    answer = admin.get(f"{AUTH}/audit", query_string=query)
    assert answer.status_code == 200, answer.text
    return [entry["action"] for entry in answer.get_json()]


def test_an_invited_user_sets_a_password_and_signs_in(accounts_app: Flask, admin: FlaskClient) -> None:
    made = invited(admin, " Ada@Example.com", name="Ada", role="admin")
    assert (made["email"], made["name"], made["role"], made["has_password"]) == (ADA, "Ada", "admin", False)
    assert reset(accounts_app, made["reset_token"]) == 204
    assert Browser(accounts_app).login(ADA, NEW).status_code == 200
    assert actions(admin)[:4] == ["session.begin", "password.reset", "password.link", "user.create"]


def test_an_email_is_taken_however_it_is_spelled(admin: FlaskClient) -> None:
    invited(admin)
    assert admin.post(f"{AUTH}/users", json={"email": "ADA@example.com"}).status_code == 409


def test_a_link_is_good_once_also_at_once(accounts_app: Flask, admin: FlaskClient) -> None:
    token = invited(admin)["reset_token"]
    assert sorted(at_once(*[lambda: reset(accounts_app, token)] * 5)) == [204, 403, 403, 403, 403]
    assert reset(accounts_app, token) == 403


def test_a_link_ends_all_sessions(accounts_app: Flask, backend: Backend, admin: FlaskClient, owner: User) -> None:
    browser = with_session(accounts_app, backend, owner)
    assert browser.get(f"{AUTH}/me").status_code == 200
    token = admin.post(f"{AUTH}/users/{owner.owner}/reset-link").get_json()["reset_token"]
    assert browser.get(f"{AUTH}/me").status_code == 200, "making one ends nothing"
    assert reset(accounts_app, token) == 204
    assert browser.get(f"{AUTH}/me").status_code == 401


def test_what_is_no_link_opens_nothing_and_is_counted(accounts_app: Flask, owner: User) -> None:
    link = Link(owner.user_id, owner.token_version)
    bad = [
        "", "x", "a.b.c", "\u0000", "ü" * 3_000,
        links.sign([SECRET], "set-up", link),
        links.sign(["somebody else's secret"], links.RESET, link),
        links.sign([SECRET], links.RESET, Link(owner.user_id, owner.token_version + 1)),
        links.sign([SECRET], links.RESET, link)[:-1],
    ]  # fmt: skip
    assert [reset(accounts_app, token) for token in bad] == [403] * len(bad)
    assert [reset(accounts_app, "x") for _ in range(20)][-1] == 429


def test_a_link_expires(accounts_app: Flask, monkeypatch: pytest.MonkeyPatch, owner: User) -> None:
    token = links.sign([SECRET], links.RESET, Link(owner.user_id, owner.token_version))
    monkeypatch.setattr(links, "RESET_SECONDS", -1)
    assert reset(accounts_app, token) == 403


def test_a_bad_password_spends_no_link(accounts_app: Flask, admin: FlaskClient) -> None:
    token = invited(admin)["reset_token"]
    assert reset(accounts_app, token, "short") == 422
    assert reset(accounts_app, token, "password1") == 422
    assert reset(accounts_app, token) == 204


def test_another_site_cannot_spend_a_link(accounts_app: Flask, admin: FlaskClient) -> None:
    token = invited(admin)["reset_token"]
    page = accounts_app.test_client()
    headers = {"Origin": "https://elsewhere.example"}
    body = {"token": token, "password": NEW}
    assert page.post(f"{AUTH}/reset-password", json=body, headers=headers).status_code == 403


def test_a_disabled_user_is_out_at_once(accounts_app: Flask, backend: Backend, admin: FlaskClient, owner: User) -> None:
    browser, key = with_session(accounts_app, backend, owner), {"x-api-key": make_key(backend, owner)}
    path = f"{AUTH}/users/{owner.owner}"
    assert admin.patch(path, json={"disabled": True}).get_json()["disabled_at"] is not None
    assert browser.get(f"{AUTH}/me").status_code == 401
    assert accounts_app.test_client().post("/threads", json={}, headers=key).status_code == 401
    assert admin.patch(path, json={"disabled": False}).get_json()["disabled_at"] is None
    assert accounts_app.test_client().post("/threads", json={}, headers=key).status_code == 200
    assert browser.get(f"{AUTH}/me").status_code == 401, "a session that has ended stays so"


def test_roles_and_names(admin: FlaskClient, as_user: Client, owner: User) -> None:
    path, theirs = f"{AUTH}/users/{owner.owner}", as_user(owner, scope=Scope.ADMIN)
    assert theirs.get(f"{AUTH}/users").status_code == 403
    changed = admin.patch(path, json={"role": "admin", "name": " Ada "}).get_json()
    assert (changed["role"], changed["name"]) == ("admin", "Ada")
    assert theirs.get(f"{AUTH}/users").status_code == 200
    assert admin.patch(path, json={"role": "user"}).get_json()["name"] == "Ada"
    assert theirs.get(f"{AUTH}/users").status_code == 403
    assert actions(admin, action="user.") == ["user.demote", "user.promote"]


@pytest.mark.parametrize("body", [{"role": "user"}, {"disabled": True}, {"name": "x", "role": "user"}])
def test_the_last_administrator_stays(admin: FlaskClient, backend: Backend, body: dict[str, Any]) -> None:
    """And nothing of a request is done that is refused."""
    last = found(backend, "admin@example.com")
    assert admin.patch(f"{AUTH}/users/{last.owner}", json=body).status_code == 409
    assert found(backend, "admin@example.com") == last


WRONG = [
    ("POST", "/users", {"email": "x"}, 422),
    ("POST", "/users", {"email": ADA, "role": "root"}, 422),
    ("POST", "/users", [], 422),
    ("PATCH", "/users/01932c07-0000-7000-8000-000000000001", {"role": "admin"}, 404),
    ("PATCH", "/users/x", {}, 422),
    ("POST", "/users/01932c07-0000-7000-8000-000000000001/reset-link", None, 404),
    ("GET", "/users?limit=0", None, 422),
    ("GET", "/audit?since=yesterday", None, 422),
    ("GET", "/audit?since=999999w", None, 422),
    ("GET", "/audit?actor=x@y", None, 404),
]


def test_what_cannot_be_is_told_in_a_sentence(admin: FlaskClient) -> None:
    for method, path, body, status in WRONG:
        answer = admin.open(AUTH + path, method=method, json=body)
        assert answer.status_code == status, (method, path, body, answer.text)
        assert list(answer.get_json()) == ["detail"], (method, path, body)


def test_lists_are_pages(admin: FlaskClient, owner: User) -> None:
    first = admin.get(f"{AUTH}/users?limit=1")
    assert [each["email"] for each in first.get_json()] == ["admin@example.com"]
    assert first.headers["X-Pagination-Next"] == "1"
    assert [each["email"] for each in admin.get(f"{AUTH}/users?offset=1").get_json()] == [owner.email]
    assert "argon2" not in first.text


def test_the_audit_tells_no_secret(accounts_app: Flask, admin: FlaskClient) -> None:
    token = invited(admin)["reset_token"]
    reset(accounts_app, token)
    Browser(accounts_app).login(ADA, PASSWORD)
    told = admin.get(f"{AUTH}/audit").text
    assert "session.fail" in told
    assert not [secret for secret in (token, NEW, PASSWORD, "argon2") if secret in told]
    by_admin = actions(admin, actor="admin@example.com", since="1h")
    assert by_admin == ["password.link", "user.create"]
    assert actions(admin, since="2999-01-01T00:00Z") == []
    assert len(actions(admin, limit="1", offset="1")) == 1


def test_two_administrators_cannot_disable_each_other_at_once(
    backend: Backend, as_user: Client, admin: FlaskClient
) -> None:
    first = found(backend, "admin@example.com")
    second = make_user(backend, "second@example.com", role=Role.ADMIN)
    other = as_user(second, scope=Scope.ADMIN)
    statuses = at_once(
        lambda: admin.patch(f"{AUTH}/users/{second.owner}", json={"disabled": True}).status_code,
        lambda: other.patch(f"{AUTH}/users/{first.owner}", json={"disabled": True}).status_code,
    )
    assert 200 in statuses
    with backend.db.read() as tx:
        assert [u.disabled_at for u in users.page(tx, limit=9) if u.role is Role.ADMIN].count(None) == 1
