"""Finding, counting and changing threads: alike on both databases."""

import time
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.storage import models
from tests.factories import STRANGER, make_thread


@pytest.fixture
def threads(web: FlaskClient, backend: Backend) -> list[str]:
    """Three threads of the caller, in the order of their creation, and one of a stranger."""
    metadata: list[dict[str, Any]] = [
        {"kind": "chat", "tags": ["a", "b"], "deep": {"n": 1, "flag": True}},
        {"kind": "chat", "tags": ["b"], "deep": {"n": 2}},
        {"kind": "mail"},
    ]
    make_thread(backend, STRANGER, kind="chat")
    return [web.post("/threads", json={"metadata": each}).json["thread_id"] for each in metadata]


def _found(web: FlaskClient, **asked: Any) -> list[str]:
    answer = web.post("/threads/search", json=asked)
    assert answer.status_code == 200, answer.json
    assert web.post("/threads/count", json=asked).json == len(answer.json)
    return [thread["thread_id"] for thread in answer.json]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, {0, 1, 2}),
        ({"kind": "chat"}, {0, 1}),
        ({"tags": ["b"]}, {0, 1}),
        ({"tags": ["b", "a"]}, {0}),
        ({"deep": {"n": 1}}, {0}),
        ({"deep": {"n": 1.0}}, {0}),
        ({"deep": {"flag": True}}, {0}),
        ({"deep": {"flag": 1}}, set()),
        ({"kind": "chat", "deep": {"n": 2}}, {1}),
        ({"kind": None}, set()),
        ({"none": "such"}, set()),
    ],
)
def test_metadata_is_contained(web: FlaskClient, threads: list[str], metadata: dict, expected: set[int]) -> None:
    """Objects may have more keys and lists more elements; a stranger's thread is not there."""
    assert set(_found(web, metadata=metadata)) == {threads[i] for i in expected}


def test_long_lists_are_compared_within_moments(web: FlaskClient) -> None:
    """Each with each would stop a process that has SQLite in it for as long as it takes."""
    numbers = list(range(20_000))
    made = web.post(
        "/threads", json={"metadata": {"numbers": numbers, "mixed": [1, True, "1", None, [1], {"a": 1}]}}
    ).json
    before = time.process_time()
    assert _found(web, metadata={"numbers": [-1]}) == []
    assert _found(web, metadata={"numbers": numbers[-900:]}) == [made["thread_id"]]
    assert time.process_time() - before < 5, "it is 18 million comparisons for who compares each with each"
    for element, is_found in (
        (1.0, True),
        (False, False),
        ("1", True),
        (None, True),
        ([], True),
        ([2], False),
        ({}, True),
    ):
        assert _found(web, metadata={"mixed": [element]}) == ([made["thread_id"]] if is_found else [])


def test_order_pages_and_columns(web: FlaskClient, threads: list[str]) -> None:
    """Last changed first; the headers say where to go on; select leaves columns out."""
    assert _found(web) == threads[::-1]
    web.patch(f"/threads/{threads[0]}", json={"metadata": {"new": 1}})
    assert _found(web) == [threads[0], threads[2], threads[1]]
    assert _found(web, sort_by="created_at", sort_order="asc") == threads
    page = web.post("/threads/search", json={"limit": 2, "sort_by": "created_at", "sort_order": "asc"})
    assert [thread["thread_id"] for thread in page.json] == threads[:2]
    assert page.headers["X-Pagination-Next"] == "2"
    rest = web.post("/threads/search", json={"limit": 2, "offset": 2, "sort_by": "created_at", "sort_order": "asc"})
    assert [thread["thread_id"] for thread in rest.json] == threads[2:]
    assert "X-Pagination-Next" not in rest.headers
    chosen = web.post("/threads/search", json={"select": ["thread_id", "status"], "limit": 1}).json
    assert chosen == [{"thread_id": threads[0], "status": "idle"}]


def test_extract(web: FlaskClient, threads: list[str], backend: Backend) -> None:
    """Single values by their paths, from either end of a list; null where there is nothing; beside what is selected."""
    values = {"messages": [{"content": "first"}, {"content": "last"}], "a b": {"ü": [1, [2]]}}
    with backend.db.begin() as tx:
        of_one = models.threads.c.thread_id == UUID(threads[0])
        tx.execute(sa.update(models.threads).where(of_one).values({"values": values}))
    paths = {
        "first": "values.messages[0].content",
        "last": "values.messages[-1].content",
        "beyond": "values.messages[2].content",
        "below": "values.messages[-3]",
        "deep": "values.a b.ü[1][0]",
        "n": "metadata.deep.n",
        "place_in_object": "metadata[0]",
        "key_of_list": "values.messages.content",
        "whole": "metadata.tags",
        "none": "interrupts.x",
    }
    found = web.post("/threads/search", json={"extract": paths, "ids": [threads[0]], "select": ["thread_id"]}).json
    told = {"first": "first", "last": "last", "deep": 2, "n": 1, "whole": ["a", "b"]}
    assert found == [{"thread_id": threads[0], "extracted": dict.fromkeys(paths) | told}]
    (other,) = web.post("/threads/search", json={"extract": {"n": "values.n"}, "ids": [threads[1]]}).json
    assert other == {**web.get(f"/threads/{threads[1]}").json, "extracted": {"n": None}}
    (plain,) = web.post("/threads/search", json={"extract": None, "ids": [threads[1]]}).json
    assert "extracted" not in plain


def test_ids_and_status(web: FlaskClient, threads: list[str]) -> None:
    """A busy thread is found as one."""
    web.post(f"/threads/{threads[1]}/runs", json={"assistant_id": "steps", "input": {}})
    assert _found(web, status="busy") == [threads[1]]
    assert set(_found(web, status="idle")) == {threads[0], threads[2]}
    assert _found(web, ids=[threads[2]]) == [threads[2]]
    assert _found(web, ids=[]) == []


def test_change_merges(web: FlaskClient, threads: list[str]) -> None:
    """Key by key; only updated_at moves besides; a minimal answer has no body."""
    before = web.get(f"/threads/{threads[0]}").json
    after = web.patch(f"/threads/{threads[0]}", json={"metadata": {"kind": "new", "more": 1}}).json
    assert after["metadata"] == {**before["metadata"], "kind": "new", "more": 1}
    assert {k for k in before if before[k] != after[k]} == {"metadata", "updated_at"}
    minimal = web.patch(f"/threads/{threads[0]}", json={}, headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.data) == (204, b"")
    assert web.patch("/threads/01932c07-0000-7000-8000-000000000001", json={}).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"sort_by": "values"},
        {"sort_order": "up"},
        {"status": "gone"},
        {"ids": ["x"]},
        {"select": ["zz"]},
        {"extract": {"a": "status"}},
        {"extract": {"a": "values..a"}},
        {"extract": {"a": "values.a[x]"}},
        {"extract": {"a": "values[1"}},
        {"extract": {"a": ""}},
        {"extract": {"a": 1}},
        {"extract": {"a.b": "values.a"}},
        {"extract": {"status": "values.a"}},
        {"extract": {f"a{i}": "values.a" for i in range(11)}},
        {"metadata": "kind"},
        {"metadata": {"tags": list(range(1_000))}},
        {"values": {"a": [{"b": n} for n in range(500)]}},
        {"ids": ["01932c07-0000-7000-8000-000000000001"] * 10_001},
    ],
)
def test_bad_searches_are_refused(web: FlaskClient, asked: dict[str, Any]) -> None:
    answer = web.post("/threads/search", json=asked)
    assert answer.status_code == 422
    assert isinstance(answer.json["detail"], str)


def test_values_are_found(live: Any) -> None:
    """What a run has left on its thread can be looked for."""
    client = live.client()
    thread = client.threads.create()["thread_id"]
    client.runs.wait(thread, "steps", input={"trace": ""})
    found = client.threads.search(values={"done": ["three"]}, metadata={"graph_id": "steps"}, limit=1000)
    assert thread in [each["thread_id"] for each in found]
    assert client.threads.count(values={"done": ["never"]}) == 0
