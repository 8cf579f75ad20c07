"""The API as a client in the test's own process sees it: the real app on the ``backend`` fixture."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.settings import Settings
from tests.factories import LOCAL_USER, claim_run, make_app, make_run, make_thread

by_mount = pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)
"""For tests of what holds on both mounts, or differs between them."""


@pytest.fixture
def web(settings: Settings, backend: Backend) -> FlaskClient:
    """A client of the app."""
    app = make_app(settings, backend)
    return app.test_client()


@pytest.fixture
def thread(backend: Backend) -> str:
    """A new thread of the caller's."""
    return str(make_thread(backend, LOCAL_USER).thread_id)


@pytest.fixture
def busy_thread(backend: Backend) -> str:
    """A thread on which a worker executes a run."""
    run = make_run(backend, LOCAL_USER)
    assert claim_run(backend, run) is not None
    return str(run.thread_id)


@pytest.fixture
def create(web: FlaskClient, thread: str) -> Callable[..., TestResponse]:
    """Creates runs of graph ``steps``, on the thread; keyword arguments are the body's other fields."""

    def create(mount: Mount, *, on: str | UUID = thread, **fields: Any) -> TestResponse:
        body = {"assistant_id": "steps", **fields}
        return web.post(f"{mount.prefix}/threads/{on}/runs", json=body)

    return create


def detail(response: TestResponse, status: int) -> str:
    """The one sentence of an error answer, after checking that it is nothing but that."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    body = response.get_json()
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    return str(body["detail"])
