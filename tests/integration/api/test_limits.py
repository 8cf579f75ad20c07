"""What is too much is refused with one sentence that names the limit and its setting."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.settings import Settings
from deerflow.storage import runs
from tests.factories import make_app
from tests.integration.api.conftest import by_mount, detail

Create = Callable[..., TestResponse]
BODIES = ["/threads", "/threads/{thread}/runs", "/threads/{thread}/runs/stream", "/runs/wait", "/runs/batch"]


def limit(backend: Backend, **rules: Any) -> None:
    object.__setattr__(backend, "rules", replace(backend.rules, **rules))


@pytest.fixture
def small(settings: Settings, backend: Backend) -> FlaskClient:
    """An app that takes bodies of 2,000 bytes."""
    app = make_app(settings.model_copy(update={"body_bytes": 2_000}), backend)
    return app.test_client()


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("told", ["length", "chunks"])
def test_large_body(small: FlaskClient, thread: str, path: str, told: str) -> None:
    """413, whether the client says the length before or sends chunks without one."""
    body = b'{"metadata": {"a": "' + b"x" * 3_000 + b'"}}'
    given: dict[str, Any] = {"data": body}
    if told == "chunks":
        chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        given = {"input_stream": BytesIO(body), "environ_overrides": chunked}
    answer = small.post(path.format(thread=thread), **given)
    assert (
        detail(answer, 413) == "The request body is larger than 2000 bytes, the most that the setting body_bytes allows"
    )


def test_body_at_the_limit(small: FlaskClient) -> None:
    body = b'{"metadata": {"a": "' + b"x" * 1_977 + b'"}}'
    assert len(body) == 2_000
    assert small.post("/threads", data=body).status_code == 200
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    assert small.post("/threads", input_stream=BytesIO(body), environ_overrides=chunked).status_code == 200


@by_mount
def test_many_waiting_runs(create: Create, backend: Backend, busy_thread: str, mount: Mount) -> None:
    """The queue of a thread is bounded; the run that is running does not count, and what was refused left nothing."""
    limit(backend, thread_queue_limit=2)
    fields = {"on": busy_thread, "multitask_strategy": "enqueue"}
    for _ in range(2):
        assert create(mount, **fields).status_code == 200
    refused = create(mount, **fields)
    told = "2 runs wait on this thread already, the most that the setting thread_queue_limit allows"
    assert detail(refused, 429).startswith(told)
    assert refused.headers["Retry-After"] == "1"
    with backend.db.read() as tx:
        assert len(runs.inflight(tx, UUID(busy_thread))) == 3
    assert create(mount, **fields | {"multitask_strategy": "interrupt"}).status_code == 200, "it makes room for itself"


@by_mount
def test_delayed_runs_wait_too(create: Create, backend: Backend, thread: str, mount: Mount) -> None:
    limit(backend, thread_queue_limit=1)
    assert create(mount, on=thread, after_seconds=60).status_code == 200
    detail(create(mount, on=thread, multitask_strategy="enqueue"), 429)


@by_mount
def test_recursion_limit(create: Create, backend: Backend, mount: Mount) -> None:
    """More steps than the server allows are refused, as many are not."""
    limit(backend, recursion_limit=20)
    refused = detail(create(mount, config={"recursion_limit": 21}), 422)
    assert refused == "config.recursion_limit: 21 is more than the setting recursion_limit allows, 20"
    fits = create(mount, config={"recursion_limit": 20})
    assert fits.get_json()["kwargs"]["config"]["recursion_limit"] == 20


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_refused_run_displaces_nothing(create: Create, backend: Backend, busy_thread: str, strategy: str) -> None:
    """A run that is refused for its limit has stopped neither the one that runs nor one that waits."""
    waiting = UUID(create(PLATFORM, on=busy_thread).get_json()["run_id"])
    limit(backend, recursion_limit=20)
    config = {"recursion_limit": 21}
    detail(create(PLATFORM, on=busy_thread, multitask_strategy=strategy, config=config), 422)
    with backend.db.read() as tx:
        inflight = runs.inflight(tx, UUID(busy_thread))
    assert [run.cancel_action for run in inflight] == [None, None]
    assert backend.log.tombstone(waiting) is None
