"""A user's API keys: made, told once, listed, revoked."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Scope
from deerflow.runtime import keys as runtime_keys
from deerflow.storage import audit, keys
from tests.conftest import wait_for
from tests.factories import at_once, make_key
from tests.integration.api.conftest import detail
from tests.integration.identity.conftest import Client

PATH = "/api/v1/auth/keys"
FIELDS = {"key_id", "name", "prefix", "scope", "state", "created_at", "expires_at", "last_used_at", "revoked_at"}


@pytest.fixture
def mine(as_user: Client, owner: User) -> FlaskClient:
    """The owner, with a key that may make keys."""
    return as_user(owner, scope=Scope.ADMIN)


def made(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"name": "laptop", **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def entries(backend: Backend) -> list[tuple[str, str | None, str | None, dict[str, Any]]]:
    with backend.db.read() as tx:
        found = audit.page(tx, audit.Wanted(("key.",)), limit=1_000)
    return [(entry.action, entry.actor, entry.subject, entry.detail) for entry in found]


def test_a_new_key_is_told_once(mine: FlaskClient, backend: Backend, owner: User) -> None:
    answer = mine.post(PATH, json={"name": " laptop "})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.get_json()
    assert set(told) == FIELDS | {"key"}
    assert (told["name"], told["scope"], told["state"]) == ("laptop", "run", "active")
    assert told["key"].startswith(told["prefix"])
    assert (told["expires_at"], told["revoked_at"], told["last_used_at"]) == (None, None, None)
    listed = mine.get(PATH)
    assert listed.headers["Cache-Control"] == "no-store"
    assert listed.get_json()[0] == {name: told[name] for name in FIELDS}
    assert told["key"] not in listed.text
    assert told["key"] not in json.dumps(entries(backend))
    facts = {"name": "laptop", "prefix": told["prefix"], "scope": "run"}
    assert entries(backend)[0] == ("key.create", owner.owner, told["key_id"], facts)


def test_it_opens_what_its_scope_allows(mine: FlaskClient) -> None:
    """And its own keys are no business of a reading or running one."""
    for scope, creates, lists in [("read", 403, 403), ("run", 200, 403), ("admin", 200, 200)]:
        key = {"x-api-key": made(mine, scope=scope)["key"]}
        client = mine.application.test_client()
        assert client.post("/threads", json={}, headers=key).status_code == creates
        assert client.get(PATH, headers=key).status_code == lists


def test_a_key_expires(mine: FlaskClient) -> None:
    days = datetime.fromisoformat(made(mine, expires_in_days=2)["expires_at"])
    assert timedelta(days=2) - (days - datetime.now(UTC)) < timedelta(minutes=1)
    at = made(mine, expires_at="2090-01-31T01:00:00+01:00")["expires_at"]
    assert at == "2090-01-31T00:00:00.000000+00:00"


WRONG = [
    {"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": "a\u202eb"}, {"name": None},
    {"name": 1}, {"scope": "everything"}, {"scope": None}, {"expires_in_days": 0}, {"expires_in_days": 1.5},
    {"expires_in_days": 10**9}, {"expires_in_days": "2"}, {"expires_at": "2020-01-01T00:00:00Z"},
    {"expires_at": "2090-01-01T00:00:00"}, {"expires_at": "soon"}, {"expires_at": 4_000_000_000},
    {"expires_at": "9999-12-31T23:59:59-12:00"}, {"expires_at": "0001-01-01T00:00:00+12:00"},
    {"expires_in_days": 1, "expires_at": "2090-01-01T00:00:00Z"},
]  # fmt: skip


def test_what_cannot_be_is_refused(mine: FlaskClient) -> None:
    """And makes no key."""
    before = len(mine.get(PATH).get_json())
    answers = {str(fields): mine.post(PATH, json={"name": "laptop", **fields}) for fields in WRONG}
    assert {fields: answer.status_code for fields, answer in answers.items()} == dict.fromkeys(answers, 422)
    assert all(list(answer.get_json()) == ["detail"] for answer in answers.values())
    assert len(mine.get(PATH).get_json()) == before


def test_a_body_that_is_none_is_refused(mine: FlaskClient) -> None:
    for data in (b"", b"{", b"[]", b'"name"'):
        detail(mine.post(PATH, data=data), 422)


def test_a_revoked_key_opens_nothing_and_stays_listed(mine: FlaskClient, backend: Backend, owner: User) -> None:
    """However often it is revoked: the first time counts, and is noted."""
    key = made(mine)
    revoke = f"{PATH}/{key['key_id']}"
    headers = {"x-api-key": key["key"]}
    assert mine.application.test_client().post("/threads", json={}, headers=headers).status_code == 200
    wait_for(lambda: mine.get(PATH).get_json()[0]["last_used_at"], what="the note of its use")
    assert mine.delete(revoke).status_code == 204
    assert mine.application.test_client().post("/threads", json={}, headers=headers).status_code == 401
    first = mine.get(PATH).get_json()[0]
    assert first["state"] == "revoked"
    assert mine.delete(revoke).status_code == 204
    assert mine.get(PATH).get_json()[0] == first
    facts = {"name": "laptop", "prefix": key["prefix"], "scope": "run"}
    revoked = [entry for entry in entries(backend) if entry[0] == "key.revoke"]
    assert revoked == [("key.revoke", owner.owner, key["key_id"], facts)]


def test_it_is_noted_once_however_many_revoke_at_once(mine: FlaskClient, backend: Backend, owner: User) -> None:
    key = make_key(backend, owner)
    with backend.db.read() as tx:
        row = next(each for each in keys.of_user(tx, owner.user_id) if key.startswith(each.prefix))
    headers = mine.environ_base

    def revoke() -> int:
        client = mine.application.test_client()
        return client.delete(f"{PATH}/{row.key_id}", environ_base=headers).status_code

    assert at_once(*[revoke] * 4) == [204] * 4
    assert [entry[0] for entry in entries(backend)].count("key.revoke") == 1


def test_another_users_key_is_not_there(mine: FlaskClient, as_user: Client, stranger: User) -> None:
    """What a stranger asks with the owner's id is answered as for an id that nobody has."""
    key = made(mine)
    theirs = as_user(stranger, scope=Scope.ADMIN)
    assert key["key_id"] not in theirs.get(PATH).text
    unused = key["key_id"][:-4] + ("0000" if key["key_id"][-4:] != "0000" else "1111")
    for key_id in (key["key_id"], unused):
        assert detail(theirs.delete(f"{PATH}/{key_id}"), 404) == f"API key with ID {key_id} not found"
    detail(theirs.delete(f"{PATH}/none"), 422)
    assert mine.get(PATH).get_json()[0]["state"] == "active"


def test_an_expired_key_is_listed_as_such(mine: FlaskClient, backend: Backend, owner: User) -> None:
    make_key(backend, owner, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert mine.get(PATH).get_json()[0]["state"] == "expired"


def test_lists_come_in_pages(mine: FlaskClient) -> None:
    ids = [made(mine)["key_id"] for _ in range(3)][::-1]
    first = mine.get(f"{PATH}?limit=2")
    assert [key["key_id"] for key in first.get_json()] == ids[:2]
    assert first.headers["X-Pagination-Next"] == "2"
    rest = mine.get(f"{PATH}?limit=2&offset=2")
    assert [key["key_id"] for key in rest.get_json()][:1] == ids[2:]
    assert "X-Pagination-Next" not in rest.headers


def test_a_key_leaves_none_behind_that_outlives_it(as_user: Client, backend: Backend, owner: User) -> None:
    """Whoever has found a key that is soon to expire cannot make it last."""
    end = datetime.now(UTC) + timedelta(days=3)
    client = as_user(owner).application.test_client()
    client.environ_base["HTTP_X_API_KEY"] = make_key(backend, owner, scope=Scope.ADMIN, expires_at=end)
    assert made(client)["expires_at"] == end.isoformat(timespec="microseconds")
    assert datetime.fromisoformat(made(client, expires_in_days=1)["expires_at"]) < end
    told = detail(client.post(PATH, json={"name": "laptop", "expires_in_days": 4}), 422)
    assert told.startswith("expires_at: must not be after")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """How many good keys a user may have here."""
    monkeypatch.setattr(runtime_keys, "MOST_GOOD_KEYS", 4)
    return 4


def test_good_keys_are_bounded(mine: FlaskClient, few: int) -> None:
    """Those that are revoked or expired do not count; the first one is the caller's own."""
    kept = [made(mine) for _ in range(few - 1)]
    assert "good API keys already" in detail(mine.post(PATH, json={"name": "one more"}), 409)
    mine.delete(f"{PATH}/{kept[0]['key_id']}")
    made(mine)
    detail(mine.post(PATH, json={"name": "one more"}), 409)


def test_the_bound_holds_when_many_are_made_at_once(mine: FlaskClient, few: int) -> None:
    headers = mine.environ_base

    def make() -> TestResponse:
        return mine.application.test_client().post(PATH, json={"name": "race"}, environ_base=headers)

    codes = sorted(answer.status_code for answer in at_once(*[make] * 8))
    assert codes == [201] * (few - 1) + [409] * (8 - few + 1)


def test_making_is_limited_by_user(mine: FlaskClient, as_user: Client, stranger: User) -> None:
    for _ in range(30):
        made(mine)
    refused = mine.post(PATH, json={"name": "one more"})
    detail(refused, 429)
    assert 3_500 < int(refused.headers["Retry-After"]) <= 3_600
    made(as_user(stranger, scope=Scope.ADMIN))
