"""Mode ``trusted-header``: whom a trusted proxy names, and nobody else."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from deerflow.backend import Backend
from deerflow.domain.principal import Role
from deerflow.errors import ConfigError
from deerflow.runtime.users import By, change_role, find_user
from deerflow.settings import Settings
from deerflow.storage import audit, users
from tests.factories import at_once, make_app, make_key, make_user
from tests.integration.api.conftest import detail
from tests.integration.identity.conftest import SECRET

PROXY, ELSEWHERE = "10.0.0.1", "10.0.0.2"
Named = Callable[..., FlaskClient]


def behind(settings: Settings, **values: Any) -> Settings:
    usual = {"auth": "trusted-header", "secret": SECRET, "trusted_proxies": PROXY}
    return settings.model_copy(update={**usual, **values})


@pytest.fixture(params=["X-Forwarded-User", "Remote-User"])
def app(settings: Settings, backend: Backend, request: pytest.FixtureRequest) -> Flask:
    return make_app(behind(settings, trusted_header=request.param), backend)


@pytest.fixture
def named(app: Flask) -> Named:
    """A client whose requests come from an address with a name in the header."""

    def client(name: str | None, *, address: str = PROXY) -> FlaskClient:
        made = app.test_client()
        made.environ_base["REMOTE_ADDR"] = address
        if name is not None:
            header = app.extensions["deerflow.trusted_header"].upper().replace("-", "_")
            made.environ_base[f"HTTP_{header}"] = name
        return made

    return client


def owner_of(backend: Backend, name: str) -> str:
    with backend.db.read() as tx:
        found = users.find_by_email(tx, name)
    assert found is not None
    return found.owner


def test_whom_the_proxy_names_gets_an_account_and_owns_what_they_make(named: Named, backend: Backend) -> None:
    """The same one whatever the case of the e-mail; other names are as they are."""
    thread = named(" Ada@Example.com ").post("/threads", json={}).get_json()["thread_id"]
    assert named("ada@example.com").get(f"/threads/{thread}").status_code == 200
    assert named("ada").get(f"/threads/{thread}").status_code == 404
    assert owner_of(backend, "ada@example.com") != owner_of(backend, "ada")
    with backend.db.read() as tx:
        made = audit.page(tx, audit.Wanted(("user.create",)), limit=9)
        role = {users.get(tx, user.user_id).role for user in users.page(tx, limit=9)}
    assert {entry.subject for entry in made} == {"ada@example.com", "ada"}
    assert role == {Role.USER}


def test_a_name_in_other_letters_is_read_as_utf_8(named: Named, backend: Backend) -> None:
    assert named("Jürgen".encode().decode("latin-1")).post("/threads", json={}).status_code == 200
    assert owner_of(backend, "Jürgen")


def test_many_first_requests_make_one_account(named: Named, backend: Backend) -> None:
    answers = at_once(*[lambda: named("ada").post("/threads", json={}).status_code for _ in range(10)])
    assert answers == [200] * 10
    with backend.db.read() as tx:
        assert len(users.page(tx, limit=99)) == 1


NOBODY = [
    ("ada", ELSEWHERE), (None, PROXY), (None, ELSEWHERE), ("", PROXY), ("  ", PROXY), ("ada,eve", PROXY),
    ("a" * 256, PROXY), ("a\x7fb", PROXY), ("\xff", PROXY), ("a@b@c", PROXY),
]  # fmt: skip


def test_nobody_else_is_anybody(named: Named, backend: Backend) -> None:
    """A header from elsewhere, none, an empty one, two of them, and what is no name."""
    answers = {who: named(who[0], address=who[1]).post("/threads", json={}).status_code for who in NOBODY}
    assert answers == dict.fromkeys(NOBODY, 401)
    with backend.db.read() as tx:
        assert users.page(tx, limit=9) == []


def test_a_disabled_user_is_refused(named: Named, backend: Backend) -> None:
    assert named("ada").post("/threads", json={}).status_code == 200
    with backend.db.begin() as tx:
        found = users.find_by_email(tx, "ada")
        assert found is not None
        users.change_and_sign_out(tx, found.user_id, disabled_at=found.created_at)
    assert "disabled" in detail(named("ada").post("/threads", json={}), 403)


def test_keys_work_from_everywhere_and_go_first(named: Named, backend: Backend) -> None:
    key = make_key(backend, make_user(backend, "owner@example.com"))
    thread = named(None, address=ELSEWHERE).post("/threads", json={}, headers={"x-api-key": key})
    path = f"/threads/{thread.get_json()['thread_id']}"
    assert named("ada").get(path, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert named("ada").get(path).status_code == 404
    assert named("ada").get(path, headers={"x-api-key": "df_unknown"}).status_code == 401
    assert named("owner@example.com").get(path, headers={"x-api-key": "another system's"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://example.org"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing(named: Named, headers: dict[str, str]) -> None:
    """The proxy signs every request of the browser in, whoever's page has made it."""
    client = named("ada")
    thread = client.post("/threads", json={}, headers={"Origin": "http://localhost"}).get_json()["thread_id"]
    run = client.post(f"/threads/{thread}/runs", json={"assistant_id": "steps"}).get_json()["run_id"]
    detail(client.post("/threads", json={}, headers=headers), 403)
    detail(client.delete(f"/threads/{thread}", headers=headers), 403)
    path = f"/threads/{thread}/runs/{run}"
    for query in ("action=interrupt", "cancel_on_disconnect=1"):
        detail(client.get(f"{path}/stream?{query}", headers=headers), 403)
    assert client.get(path, headers=headers).get_json()["status"] == "pending"


@pytest.mark.parametrize("proxies", ["", " , ", "*", "10.0.0.1, *"])
def test_the_mode_is_refused_when_anybody_could_write_the_header(settings: Settings, proxies: str) -> None:
    with pytest.raises(ConfigError, match="DEERFLOW_TRUSTED_PROXIES"):
        create_app(behind(settings, trusted_proxies=proxies))


def test_a_role_is_changed_on_the_command_line(named: Named, backend: Backend) -> None:
    """Under the name that the proxy uses, an e-mail or not; it holds from the next request on."""
    for name in ("ada", "ada@example.com"):
        assert named(name).post("/threads", json={}).status_code == 200
        assert named(name).get("/api/v1/auth/users").status_code == 403
        with backend.db.begin() as tx:
            change_role(tx, find_user(tx, f" {name}"), Role.ADMIN, By())
        assert named(name).get("/api/v1/auth/users").status_code == 200
