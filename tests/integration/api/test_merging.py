"""Where a run's config, context and metadata come from, and what a client cannot say there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.project import load
from deerflow.settings import Settings
from deerflow.storage import models
from tests.conftest import GRAPHS
from tests.factories import make_app
from tests.integration.api.conftest import by_mount

Create = Callable[..., TestResponse]
STEPS = system_assistant_id("steps")
CLAIMS = {
    "owner": "somebody",
    "user_id": "somebody",
    "created_by": "somebody",
    "langgraph_auth_user": {"identity": "somebody"},
    "langgraph_auth_user_id": "somebody",
    "langgraph_auth_permissions": ["everything"],
    "langgraph_request_id": "somebody's",
}


def assistant_has(backend: Backend, **columns: Any) -> None:
    """Give the assistant of graph ``steps`` settings of its own."""
    with backend.db.begin() as tx:
        table = models.assistants
        tx.execute(sa.update(table).where(table.c.assistant_id == STEPS).values(**columns))


def thread_has(backend: Backend, thread: str, **columns: Any) -> None:
    with backend.db.begin() as tx:
        table = models.threads
        tx.execute(sa.update(table).where(table.c.thread_id == UUID(thread)).values(**columns))


def configurable_of(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    configurable: dict[str, Any] = answer.get_json()["kwargs"]["config"]["configurable"]
    return configurable


@by_mount
def test_metadata(create: Create, backend: Backend, thread: str, mount: Mount) -> None:
    """assistant < thread < config < run, key by key; the ids of graph and assistant win over all."""
    layers = ["assistant", "thread", "config", "run"]
    given = {name: dict.fromkeys(layers[n:], name) | {"graph_id": name} for n, name in enumerate(layers)}
    assistant_has(backend, metadata=given["assistant"])
    thread_has(backend, thread, metadata=given["thread"])
    run = create(mount, config={"metadata": given["config"]}, metadata=given["run"]).get_json()
    ids = {"graph_id": "steps", "assistant_id": str(STEPS)}
    assert run["metadata"] == {layer: layer for layer in layers} | ids


@by_mount
def test_configurable(create: Create, backend: Backend, thread: str, mount: Mount) -> None:
    """assistant < thread < request."""
    assistant_has(backend, config={"configurable": {"a": 1, "b": 1, "c": 1}, "tags": ["t"], "recursion_limit": 9})
    thread_has(backend, thread, config={"configurable": {"b": 2, "c": 2}})
    answer = create(mount, config={"configurable": {"c": 3}, "recursion_limit": 5})
    assert configurable_of(answer).items() >= {"a": 1, "b": 2, "c": 3}.items()
    config = answer.get_json()["kwargs"]["config"]
    assert (config["tags"], config["recursion_limit"]) == (["t"], 5)


@by_mount
def test_context(create: Create, backend: Backend, mount: Mount) -> None:
    """assistant < request; context and configurable stand for each other when only one is given."""
    assistant_has(backend, context={"a": 1, "b": 1})
    told = create(mount, context={"b": 2})
    assert told.get_json()["kwargs"]["context"] == {"a": 1, "b": 2}
    assert configurable_of(told)["b"] == 2
    mirrored = create(mount, config={"configurable": {"b": 3}}, multitask_strategy="enqueue")
    assert mirrored.get_json()["kwargs"]["context"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": CLAIMS},
        {"config": {"metadata": CLAIMS}},
        {"config": {"configurable": CLAIMS}},
        {"context": CLAIMS},
    ],
    ids=["metadata", "config.metadata", "configurable", "context"],
)
@by_mount
def test_claims_on_a_run(create: Create, web: FlaskClient, mount: Mount, fields: dict[str, Any]) -> None:
    """scenario 43: who a client says to be in metadata or config is not who it is, on run and new thread."""
    new = "01932c07-0000-7000-8000-000000000043"
    answer = create(mount, on=new, if_not_exists="create", **fields)
    run = answer.get_json()
    assert run["metadata"] == {"created_by": "system", "graph_id": "steps", "assistant_id": str(STEPS)}
    assert set(web.get(f"/threads/{new}").get_json()["metadata"]) == {"graph_id", "assistant_id"}
    configurable = configurable_of(answer)
    assert configurable["langgraph_auth_user"] is None
    assert configurable["langgraph_auth_user_id"] == ""
    assert configurable["langgraph_auth_permissions"] == []
    assert configurable["langgraph_request_id"] != "somebody's"
    assert "user_id" not in configurable, "the worker puts the owner there"
    assert "somebody" not in json.dumps(run["kwargs"]["config"].get("metadata", {}))


@by_mount
def test_ids_in_configurable(create: Create, mount: Mount) -> None:
    """A client's ids are dropped: alone they neither become context nor contradict one."""
    ids = dict.fromkeys(("run_id", "thread_id", "graph_id", "assistant_id", "user_id"), "mine")
    answer = create(mount, config={"configurable": ids}, context={"a": 1})
    assert not ids.keys() & configurable_of(answer).keys()
    assert answer.get_json()["kwargs"]["context"] == {"a": 1}


@by_mount
def test_claims_on_a_thread(web: FlaskClient, mount: Mount) -> None:
    """scenario 43: on create and PATCH; the graph that a thread is for stays."""
    own = {"a": 1, "graph_id": "steps"}
    created = web.post(f"{mount.prefix}/threads", json={"metadata": CLAIMS | own}).get_json()
    assert created["metadata"] == own
    path = f"{mount.prefix}/threads/{created['thread_id']}"
    assert web.patch(path, json={"metadata": CLAIMS | {"b": 2}}).get_json()["metadata"] == own | {"b": 2}


@by_mount
def test_request_id(create: Create, web: FlaskClient, thread: str, mount: Mount) -> None:
    """``x-request-id`` names the request in the graph's configuration; without one the server does."""
    path = f"{mount.prefix}/threads/{thread}/runs"
    headers = {"X-Request-Id": "req-1", "X-Foo": "bar"}
    named = configurable_of(web.post(path, json={"assistant_id": "steps"}, headers=headers))
    assert named["langgraph_request_id"] == "req-1"
    assert "x-foo" not in named
    assert UUID(configurable_of(create(mount, multitask_strategy="enqueue"))["langgraph_request_id"])


@pytest.fixture
def listening(settings: Settings, backend: Backend, tmp_path: Path) -> FlaskClient:
    """An app whose langgraph.json lets some headers through."""
    raw = json.loads(GRAPHS.read_text())
    raw["http"] = {"configurable_headers": {"include": ["x-foo*", "authorization", "x-api-key"], "exclude": ["*-no"]}}
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps(raw))
    object.__setattr__(backend, "project", load(file))
    app = make_app(settings, backend)
    return app.test_client()


@pytest.mark.parametrize("path", ["/threads/{thread}/runs", "/runs", "/runs/batch"])
@pytest.mark.parametrize("mount", [PLATFORM, GATEWAY], ids=lambda mount: mount.name)
def test_headers(listening: FlaskClient, thread: str, path: str, mount: Mount) -> None:
    """Headers that langgraph.json includes are in ``configurable`` and win over the client's; secrets never are."""
    body: Any = {"assistant_id": "steps", "config": {"configurable": {"x-foo-a": "body", "b": 1}}}
    headers = {"X-Foo-A": "head", "X-Foo-No": "n", "Authorization": "secret", "X-Api-Key": "secret"}
    url = mount.prefix + path.format(thread=thread)
    answer = listening.post(url, json=[body] if path.endswith("batch") else body, headers=headers)
    run = answer.get_json()
    run = run[0] if isinstance(run, list) else run
    configurable = run["kwargs"]["config"]["configurable"]
    assert (configurable["x-foo-a"], configurable["b"]) == ("head", 1)
    assert not {"x-foo-no", "authorization", "x-api-key"} & configurable.keys()


@by_mount
def test_feedback_keys(create: Create, mount: Mount) -> None:
    """Stored and shown; there is no tracing backend that would make URLs of them."""
    assert create(mount, feedback_keys=["good", "bad"]).get_json()["kwargs"]["feedback_keys"] == ["good", "bad"]
    assert create(mount, multitask_strategy="enqueue").get_json()["kwargs"]["feedback_keys"] is None
