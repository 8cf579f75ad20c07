"""API keys open what their scope allows, as long as they are good."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Scope
from deerflow.storage import keys, users
from tests.factories import make_key
from tests.integration.identity.conftest import Client


def status(app: Flask, header: dict[str, str]) -> int:
    return app.test_client().post("/threads", json={}, headers=header).status_code


def test_a_key_in_either_header_makes_its_user_the_owner(accounts_app: Flask, backend: Backend, owner: User) -> None:
    key = make_key(backend, owner)
    assert status(accounts_app, {"x-api-key": key}) == 200
    assert status(accounts_app, {"Authorization": f"Bearer {key}"}) == 200


@pytest.mark.parametrize("header", [{}, {"x-api-key": ""}, {"x-api-key": "lsv2_pt_x"}, {"x-api-key": "df_unknown"},
                                    {"Authorization": "Basic eDp5"}, {"x-auth-scheme": "langsmith"}])  # fmt: skip
def test_nothing_else_opens(accounts_app: Flask, header: dict[str, str]) -> None:
    """scenario 39"""
    assert status(accounts_app, header) == 401


def test_reading_keys_change_nothing(as_user: Client, owner: User) -> None:
    client = as_user(owner, scope=Scope.READ)
    assert client.post("/threads/search", json={}).status_code == 200
    assert client.post("/threads", json={}).status_code == 403


def test_a_revoked_expired_or_disabled_key_opens_nothing(accounts_app: Flask, backend: Backend, owner: User) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert status(accounts_app, {"x-api-key": make_key(backend, owner, expires_at=past)}) == 401
    revoked, kept = make_key(backend, owner), make_key(backend, owner)
    with backend.db.begin() as tx:
        found = next(key for key in keys.of_user(tx, owner.user_id) if revoked.startswith(key.prefix))
        keys.revoke(tx, owner.user_id, found.key_id)
    assert status(accounts_app, {"x-api-key": revoked}) == 401
    assert status(accounts_app, {"x-api-key": kept}) == 200
    with backend.db.begin() as tx:
        users.change_and_sign_out(tx, owner.user_id, disabled_at=past)
    assert status(accounts_app, {"x-api-key": kept}) == 401


def test_what_another_owns_is_not_there(as_user: Client, owner: User, stranger: User) -> None:
    thread_id = as_user(owner).post("/threads", json={}).get_json()["thread_id"]
    assert as_user(stranger).get(f"/threads/{thread_id}").status_code == 404


def test_no_cache_in_between_keeps_an_answer_for_others(as_user: Client, owner: User, stranger: User) -> None:
    """Not that of the owner, and not that there is nothing: keys are no part of what a cache compares."""
    path = f"/threads/{as_user(owner).post('/threads', json={}).get_json()['thread_id']}"
    for client in (as_user(owner), as_user(stranger)):
        assert client.get(path).headers["Cache-Control"] == "private"
    assert as_user(owner).get(f"{path}/runs").headers["Cache-Control"] == "private"
    assert "Cache-Control" not in as_user(owner).get("/ok").headers
