"""Finding and counting assistants: alike on both databases."""

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.assistants import AssistantSpec
from deerflow.storage import assistants
from tests.factories import STRANGER
from tests.integration.api.conftest import detail

MINE = {"of": "test"}


@pytest.fixture
def made(web: FlaskClient, backend: Backend) -> list[str]:
    """Four assistants of the caller in the order of their creation, and one of a stranger."""
    said: list[dict[str, Any]] = [
        {"graph_id": "echo", "name": "Élan vital", "metadata": {"tags": ["a", "b"], "deep": {"n": 1}}},
        {"graph_id": "steps", "name": "zebra", "metadata": {"tags": ["b"]}},
        {"graph_id": "steps", "name": "Zebra_%"},
        {"graph_id": "chat", "name": "apple"},
    ]
    with backend.db.begin() as tx:
        theirs = AssistantSpec(graph_id="echo", name="zebra of a stranger", metadata={**MINE, "tags": ["a", "b"]})
        assistants.create(tx, STRANGER, uuid4(), theirs)
    bodies = [{**each, "metadata": {**MINE, **each.get("metadata", {})}} for each in said]
    return [web.post("/assistants", json=body).get_json()["assistant_id"] for body in bodies]


def found(web: FlaskClient, **asked: Any) -> list[str]:
    answer = web.post("/assistants/search", json=asked)
    assert answer.status_code == 200, answer.text
    if "offset" not in asked and "limit" not in asked:
        assert web.post("/assistants/count", json=asked).get_json() == len(answer.get_json())
    return [each["assistant_id"] for each in answer.get_json()]


CASES: list[tuple[dict[str, Any], set[int]]] = [
    ({"metadata": MINE}, {0, 1, 2, 3}),
    ({"metadata": {"tags": ["b"]}}, {0, 1}),
    ({"metadata": {"deep": {"n": 1.0}}}, {0}),
    ({"metadata": {"deep": {"n": True}}}, set()),
    ({"name": "ZEBRA"}, {1, 2}),
    ({"name": "éLAN"}, {0}),
    ({"name": "_%"}, {2}),
    ({"name": "zebra", "graph_id": "steps", "metadata": {"tags": ["b"]}}, {1}),
    ({"graph_id": "steps", "metadata": MINE}, {1, 2}),
    ({"graph_id": "steps", "metadata": {"created_by": "system"}}, set()),
    ({"graph_id": "nope"}, set()),
    ({"name": "nope"}, set()),
]


def test_what_is_asked_for(web: FlaskClient, made: list[str]) -> None:
    """All that is asked holds; what a stranger has is not there."""
    for asked, expected in CASES:
        theirs = [each for each in found(web, **asked) if each in made or "created_by" not in str(asked)]
        assert sorted(theirs) == sorted(made[i] for i in expected), asked


def test_order(web: FlaskClient, made: list[str]) -> None:
    """By code points, on both databases; equal ones by their ids, either way."""
    web.patch(f"/assistants/{made[0]}", json={"name": "Élan vital"})
    orders = {"created_at": [0, 1, 2, 3], "name": [2, 3, 1, 0], "graph_id": [3, 0], "updated_at": [1, 2, 3, 0]}
    for sort_by, order in orders.items():
        asked = {"metadata": MINE, "sort_by": sort_by}
        upwards = found(web, **asked, sort_order="asc")
        assert [each for each in upwards if made.index(each) in order] == [made[i] for i in order]
        assert found(web, **asked) == found(web, **asked, sort_order="desc") == upwards[::-1]
        assert found(web, **asked, name="A") == upwards[::-1]


def test_pages_and_columns(web: FlaskClient, made: list[str]) -> None:
    """Newest first; the headers say where to go on, with a name looked for as well as without."""
    for name in ({}, {"name": "A"}):
        asked = {"metadata": MINE, "limit": 3, **name}
        page = web.post("/assistants/search", json=asked)
        assert [each["assistant_id"] for each in page.get_json()] == made[:0:-1]
        assert (page.headers["X-Pagination-Next"], page.headers["X-Pagination-Total"]) == ("3", "4")
        rest = web.post("/assistants/search", json={**asked, "offset": 3})
        assert [each["assistant_id"] for each in rest.get_json()] == made[:1]
        assert "X-Pagination-Next" not in rest.headers
        assert rest.headers["X-Pagination-Total"] == "4"
    chosen = web.post("/assistants/search", json={"select": ["name", "version"], "limit": 1}).get_json()
    assert chosen == [{"name": "apple", "version": 1}]


def test_the_systems_are_there_by_default(web: FlaskClient, backend: Backend) -> None:
    graphs = [each["graph_id"] for each in web.post("/assistants/search", json={"limit": 1_000}).get_json()]
    assert set(graphs) >= set(backend.project.graphs)
    assert web.post("/assistants/count", json={}).get_json() == len(graphs)


BAD = [
        {"limit": 0}, {"limit": 1_001}, {"offset": -1}, {"offset": 2**31}, {"sort_by": "version"}, {"sort_order": "up"},
        {"select": ["owner"]}, {"select": "name"}, {"metadata": "m"}, {"name": 1},
]  # fmt: skip


def test_bad_searches_are_refused(web: FlaskClient) -> None:
    for asked in BAD:
        detail(web.post("/assistants/search", json=asked), 422)
