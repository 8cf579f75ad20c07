"""The store of somebody else: no route shows it or changes it; handlers of a project may move callers apart."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.principal import Role
from deerflow.settings import Settings
from tests.factories import make_app, make_key, make_user
from tests.integration.api.conftest import detail
from tests.integration.identity.conftest import SECRET
from tests.integration.store.state_worker import WorkerBell, working

PROJECT = Path(__file__).parents[2] / "projects" / "custom_auth" / "langgraph.json"
ITEM = {"namespace": ["n"], "key": "k"}
Api = Callable[..., Any]


@pytest.fixture
def served(settings: Settings) -> Settings:
    return settings.model_copy(update={"auth": "accounts", "secret": SECRET, "config": PROJECT})


@pytest.fixture
def bell(served: Settings) -> Iterator[WorkerBell]:
    with working(served) as bell:
        yield bell


@pytest.fixture
def app(served: Settings, backend: Backend) -> Flask:
    return make_app(served, backend)


def with_token(app: Flask, token: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def put(client: FlaskClient, namespace: list[str], **value: Any) -> int:
    return client.put("/store/items", json={**ITEM, "namespace": namespace, "value": value}).status_code


def get(client: FlaskClient, namespace: str) -> Any:
    found = client.get("/store/items", query_string={"namespace": namespace, "key": "k"}).get_json()
    return found and (found["namespace"], found["value"])


def test_a_stranger_sees_and_changes_nothing(app: Flask, backend: Backend) -> None:
    """scenarios 40 and 42: by every route, even who knows the owner's id and its name in the store."""
    make_user(backend, "admin@example.com", role=Role.ADMIN)  # set-up is finished
    users = [make_user(backend, f"{name}@example.com") for name in ("owner", "stranger")]
    owner, stranger = (with_token(app, make_key(backend, user)) for user in users)
    assert put(owner, ["n"], of="owner") == 204
    for foreign in (["n"], [users[0].owner, "n"]):
        assert get(stranger, ".".join(foreign)) is None
        assert stranger.delete("/store/items", json={**ITEM, "namespace": foreign}).status_code == 204
        assert put(stranger, foreign, of="stranger") == 204
    found = stranger.post("/store/items/search", json={"limit": 100}).get_json()["items"]
    assert {item["value"]["of"] for item in found} == {"stranger"}
    for body in ({}, {"prefix": ["*"]}, {"suffix": ["n"]}, {"max_depth": 2}):
        told = stranger.post("/store/namespaces", json=body).get_json()["namespaces"]
        assert sorted(told) == sorted([["n"], [users[0].owner, "n"]]), body
    assert get(owner, "n") == (["n"], {"of": "owner"})
    assert len(owner.post("/store/items/search", json={}).get_json()["items"]) == 1


def test_what_the_handler_leaves_of_a_namespace_counts(app: Flask) -> None:
    """For each action; what it refuses is refused, and a filter, which items cannot match, changes nothing."""
    ada, eve = with_token(app, "ada"), with_token(app, "eve")
    assert put(ada, ["n"], of="ada", secret="kept back") == 204
    assert get(ada, "n") == (["red", "n"], {"of": "ada"})
    assert get(eve, "n") is None
    found = ada.post("/store/items/search", json={"namespace_prefix": ["n"]}).get_json()["items"]
    assert [item["namespace"] for item in found] == [["red", "n"]]
    assert ada.post("/store/namespaces", json={}).get_json() == {"namespaces": [["red", "n"]]}
    assert detail(ada.delete("/store/items", json=ITEM), 403) == "Nothing is deleted here"
    assert put(ada, ["forbidden"]) == 403
    assert "namespace" in detail(ada.put("/store/items", json={"namespace": "n", "key": "k", "value": {}}), 422)
