"""Whoever a client says to be, in metadata or config, on whatever route: it is not believed, and stored nowhere."""

from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.errors import Unavailable
from deerflow.storage import models
from tests.conftest import SilentBell
from tests.factories import make_thread
from tests.integration.identity.stranger import make_assistant, make_cron, principal_for, with_key
from tests.integration.identity.test_stranger import routes

CLAIM = "somebody-else"
CLAIMS: dict[str, Any] = {
    "owner": CLAIM,
    "user_id": CLAIM,
    "created_by": CLAIM,
    "langgraph_auth_user": {"identity": CLAIM},
    "langgraph_auth_user_id": CLAIM,
    "langgraph_auth_permissions": [CLAIM],
    "langgraph_auth_anything": CLAIM,
    "langgraph_request_id": CLAIM,
}
EVERYWHERE = {
    **CLAIMS,
    "assistant_id": "steps",
    "graph_id": "steps",
    "schedule": "0 0 1 1 *",
    "metadata": CLAIMS,
    "config": {**CLAIMS, "metadata": CLAIMS, "configurable": CLAIMS},
    "checkpoint": {**CLAIMS, "checkpoint_ns": ""},
    "values": {"a": 1},
    "as_node": "a",
}
"""A body that every route takes which takes metadata or config at all."""
BODIES: dict[str, Any] = {
    "POST /runs/batch": [EVERYWHERE],
    "POST /threads/{thread}/commands": {"id": 1, "method": "run.start", "params": EVERYWHERE},
}
"""Of the routes that take it wrapped."""
TAKE_METADATA = {
    "POST /threads", "PATCH /threads/{thread}", "POST /threads/{thread}/state",
    "POST /threads/{thread}/runs", "POST /threads/{thread}/runs/stream", "POST /threads/{thread}/runs/wait",
    "POST /runs", "POST /runs/stream", "POST /runs/wait", "POST /runs/batch",
    "POST /assistants", "PATCH /assistants/{assistant}",
    "POST /runs/crons", "POST /threads/{thread}/runs/crons", "PATCH /runs/crons/{cron}",
    "POST /threads/{thread}/commands",
}  # fmt: skip
"""The least that the walk has to reach."""
LOOK = {"state", "history"}
"""Questions that only look, at a thread that is the caller's: what the metadata of a history has to contain."""


class ListeningBell(SilentBell):
    """Keeps the questions that state workers would be asked; none answers."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[Any] = []

    def ask(self, *question: object, **_options: object) -> None:
        self.questions.append(question[1])
        raise Unavailable("No state worker answers")


@pytest.fixture
def bell() -> ListeningBell:
    return ListeningBell()


def stored(backend: Backend) -> str:
    """All that is in the database, as text."""
    with backend.db.read() as tx:
        rows = [row for table in models.metadata.sorted_tables for row in tx.execute(sa.select(table))]
    return str(rows)


def call(client: FlaskClient, name: str, path: str) -> tuple[int, str]:
    body = BODIES.get(name, EVERYWHERE)
    if name == "POST /assistants":
        body = {**EVERYWHERE, "assistant_id": str(new_id())}
    answer = client.open(path, method=name.partition(" ")[0], json=body, buffered=False)
    status, told = answer.status_code, answer.get_data(as_text=True) if "Content-Length" in answer.headers else ""
    answer.close()
    return status, told


def test_claims_are_stored_nowhere(accounts_app: Flask, backend: Backend, bell: ListeningBell, owner: User) -> None:
    """scenario 43: on every route that changes something, as the URL map has them, by both mounts."""
    client, reached = with_key(accounts_app, backend, owner), set()
    for method, name, prefix in routes(accounts_app):
        if method not in {"POST", "PATCH", "PUT"} or "/auth/" in name:
            continue
        thread = make_thread(backend, principal_for(owner), graph_id="steps")
        made = {"{assistant}": make_assistant, "{cron}": make_cron}
        ids = {"{thread}": thread.thread_id} | {
            each: make(backend, owner) for each, make in made.items() if each in name
        }
        asked, path = len(bell.questions), prefix + name.partition(" ")[2]
        for placeholder, its_id in ids.items():
            path = path.replace(placeholder, str(its_id))
        status, told = call(client, name, path)
        if status < 300 or len(bell.questions) > asked:
            reached.add(name)
        assert CLAIM not in told, name
        assert CLAIM not in stored(backend), name
        assert CLAIM not in str([asked for asked in bell.questions if asked["kind"] not in LOOK]), name
    assert reached >= TAKE_METADATA


def test_context_is_the_clients_word(accounts_app: Flask, backend: Backend, owner: User) -> None:
    """It is a graph's input, like ``input``: who really calls is told in ``configurable``, whatever it says."""
    body = {"assistant_id": "steps", "context": CLAIMS}
    run = with_key(accounts_app, backend, owner).post("/runs", json=body).get_json()
    assert run["kwargs"]["context"]["user_id"] == CLAIM
    assert CLAIM not in orjson.dumps(run["kwargs"]["config"]).decode()
    assert CLAIM not in orjson.dumps(run["metadata"]).decode()
