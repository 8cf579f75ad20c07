"""A project whose own handlers name the callers and say what they may do, with either mode beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from deerflow import project
from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.graphs.handlers import Handlers
from deerflow.settings import Settings
from tests.factories import make_app
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.conftest import SECRET

PROJECT = Path(__file__).parents[3] / "projects" / "custom_auth" / "langgraph.json"
ADA = Principal("auth:ada", frozenset())
Caller = Callable[..., FlaskClient]


@pytest.fixture(params=["none", "accounts"])
def mode(request: pytest.FixtureRequest) -> str:
    """The mode that handlers are combined with."""
    return str(request.param)


@pytest.fixture
def served(settings: Settings, mode: str) -> Settings:
    remembered = {"auth_cache_seconds": 300}  # however long a test takes
    return settings.model_copy(update={"auth": mode, "secret": SECRET, "config": PROJECT, **remembered})


@pytest.fixture
def bell(served: Settings) -> AnsweringBell:
    return AnsweringBell(served.redis_url, Handlers.load(project.load(PROJECT)))


@pytest.fixture
def app(served: Settings, backend: Backend) -> Flask:
    return make_app(served, backend)


@pytest.fixture
def as_(app: Flask) -> Caller:
    """A client that sends this token."""

    def client(name: str, **headers: str) -> FlaskClient:
        made = app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {name}"
        made.environ_base |= {f"HTTP_{key.upper()}": value for key, value in headers.items()}
        return made

    return client


def make(client: FlaskClient, **metadata: Any) -> str:
    answer = client.post("/threads", json={"metadata": metadata})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["thread_id"])


def start(client: FlaskClient, thread: str, **fields: Any) -> str:
    answer = client.post(f"/threads/{thread}/runs", json={"assistant_id": "who", **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["run_id"])
