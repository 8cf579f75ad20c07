"""Searches by meaning: what is nearest, whose it is, and what becomes of an embedding that fails."""

import asyncio
from typing import Any

from flask.testing import FlaskClient

from deerflow.runtime import ask
from tests.integration.api.conftest import detail
from tests.integration.store.conftest import Put, without_index
from tests.integration.store.state_worker import WorkerBell
from tests.integration.store.test_items import ITEMS, SEARCH, Search, keys

COLOURS = {
    "sky": {"text": "blue blue"}, "sea": {"text": "blue green"}, "leaf": {"text": "green"}, "rose": {"text": "red"},
}  # fmt: skip


def put_colours(put: Put) -> None:
    for key, value in COLOURS.items():
        put(["c"], key, value)


def test_the_nearest_come_first(put: Put, search: Search) -> None:
    """With their score, in pages, within the filter and the namespace."""
    put_colours(put)
    put(["other"], "sky", {"text": "blue"})
    found = search(["c"], query="blue")
    assert keys(found[:2]) == ["sky", "sea"]
    assert found[0]["score"] > 0.99
    assert 0.6 < found[1]["score"] < 0.8
    assert keys(search(["c"], query="green", limit=1)) == ["leaf"]
    assert keys(search(["c"], query="green", limit=1, offset=1)) == ["sea"]
    assert len(search(["c"], query="green", limit=2, offset=2)) == 2
    assert keys(search(["c"], query="blue", filter={"text": {"$ne": "blue blue"}}))[0] == "sea"


def test_each_field_of_an_item_is_found_once(put: Put, search: Search) -> None:
    """However many of its fields are near, it does not push others off the page."""
    put(["c"], "both", {"text": "blue", "title": "blue blue"})
    put_colours(put)
    assert keys(search(["c"], query="blue", limit=2)) in (["both", "sky"], ["sky", "both"])


def test_what_is_embedded_is_said_by_the_item(put: Put, search: Search) -> None:
    """Nothing of it, or other fields; and never what it was before."""
    put(["c"], "hidden", {"text": "red"}, index=False)
    put(["c"], "deep", {"text": "blue", "parts": [{"name": "green"}, {"name": "red"}]}, index=["parts[*].name"])
    assert keys(search(["c"], query="red")) == ["deep"]
    assert search(["c"], query="red")[0]["score"] > 0.99
    put(["c"], "deep", {"text": "blue"})
    assert search(["c"], query="red")[0]["score"] < 0.1
    put(["c"], "deep", {"text": "blue"}, index=False)
    assert search(["c"], query="red") == []
    assert sorted(keys(search(["c"]))) == ["deep", "hidden"]


def test_of_many_writes_at_once_one_is_whole(bell: WorkerBell) -> None:
    """The item that is left is found by what it says, and by nothing that another write has said."""
    stores = [bell.worker.savers.store("me") for _ in range(8)]

    async def body() -> None:
        values = [{("text" if n % 2 else "title"): ("red" if n % 2 else "blue"), "n": n} for n in range(len(stores))]
        await asyncio.gather(*(store.aput(("c",), "k", value) for store, value in zip(stores, values, strict=True)))
        (red,), (blue,) = [await stores[0].asearch(("c",), query=colour) for colour in ("red", "blue")]
        assert red.value == blue.value
        assert sorted(round(item.score) for item in (red, blue)) == [0, 1]

    bell.do(body())


def test_a_deleted_item_is_forgotten(web: FlaskClient, put: Put, search: Search, bell: WorkerBell) -> None:
    """With its vectors, which do not come back with the next item of its name."""
    put(["c"], "k", {"text": "red"})
    assert bell.rows("SELECT key FROM store_vectors") == [("k",)]
    assert web.delete(ITEMS, json={"namespace": ["c"], "key": "k"}).status_code == 204
    assert bell.rows("SELECT key FROM store_vectors") == []
    put(["c"], "k", {"text": "red"}, index=False)
    assert search(["c"], query="red") == []


def test_another_owners_nearest_item_never_shows(bell: WorkerBell) -> None:
    """scenario 40: the owner is part of the search, whatever the owners are called."""
    store = bell.worker.savers.store

    async def body() -> None:
        for owner in ("ada", "ada.c", "auth:eve@example.com", "*", "langgraph"):
            await store(owner).aput(("c",), "k", {"text": "blue", "of": owner})
        for owner in ("ada", "ada.c", "auth:eve@example.com", "*", "langgraph"):
            found = await store(owner).asearch((), query="blue", limit=10)
            assert [(item.namespace, item.value["of"]) for item in found] == [(("c",), owner)]
            assert await store(owner).alist_namespaces() == [("c",)]
            assert [item.value["of"] for item in await store(owner).asearch(("c",))] == [owner]
        assert await store("nobody").asearch((), query="blue") == []
        assert await store("ada").asearch(("c", "c"), query="blue") == []

    bell.do(body())


def test_an_embedding_that_fails_stores_nothing(web: FlaskClient, put: Put, search: Search, monkeypatch: Any) -> None:
    """It is told that it may be tried again, not what the embedding said; the item stays what it was."""
    put(["c"], "k", {"text": "red"})
    for text, told in (("unembeddable", "(OSError)"), ("flat", "3 finite numbers")):
        answer = web.put(ITEMS, json={"namespace": ["c"], "key": "k", "value": {"text": text}})
        assert told in detail(answer, 503)
        assert "secret" not in answer.text
        assert told in detail(web.post(SEARCH, json={"query": text}), 503)
    monkeypatch.setattr("deerflow.runtime.answer._TO_TELL_SECONDS", 5.0)
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 5.2)
    late = web.put(ITEMS, json={"namespace": ["c"], "key": "k", "value": {"text": "endless"}})
    assert detail(late, 503) == "The store has not answered in time; try again"
    monkeypatch.undo()
    assert [item["value"] for item in search(["c"], query="red")] == [{"text": "red"}]


def test_items_given_to_an_heir_are_found_by_meaning(bell: WorkerBell) -> None:
    """Of two with one name the newer one stays, with its vectors and its end."""
    savers = bell.worker.savers

    async def body() -> None:
        await savers.store("local").aput(("c",), "only", {"text": "blue"})
        await savers.store("heir").aput(("c",), "both", {"text": "red"})
        await savers.store("local").aput(("c",), "both", {"text": "green"})
        for _ in range(2):
            await savers.give_items("local", "heir")
            found = await savers.store("heir").asearch(("c",), query="green")
            assert [item.key for item in found] == ["both", "only"]
            assert found[0].value == {"text": "green"}
            assert found[0].score > 0.99
            assert await savers.store("local").asearch((), query="green") == []

    bell.do(body())


@without_index
def test_without_an_embedding_a_query_changes_nothing(put: Put, search: Search) -> None:
    """As on LangGraph's own server: the score is null, which says that nothing was compared."""
    put_colours(put)
    found = search(["c"], query="blue")
    assert keys(found) == list(reversed(COLOURS))
    assert {item["score"] for item in found} == {None}
