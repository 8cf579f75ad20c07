"""The store API: items, searches and namespaces, and what is refused."""

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from tests.integration.api.conftest import by_mount, detail
from tests.integration.store.conftest import Put

Search = Callable[..., list[dict[str, Any]]]
ITEMS, SEARCH, NAMESPACES = "/store/items", "/store/items/search", "/store/namespaces"


def keys(items: list[dict[str, Any]]) -> list[str]:
    return [item["key"] for item in items]


@by_mount
def test_an_item_is_stored_changed_and_deleted(web: FlaskClient, mount: Mount) -> None:
    """Its making is remembered through every change; what is not there is null, and deleted already."""
    path, name = mount.prefix + ITEMS, {"namespace": ["a", "b"], "key": "k"}
    assert web.put(path, json={**name, "value": {"n": 1}}).status_code == 204
    first = web.get(path, query_string={"namespace": "a.b", "key": "k"}).get_json()
    assert first == {**name, "value": {"n": 1}, "created_at": first["created_at"], "updated_at": first["updated_at"]}
    assert first["created_at"].endswith("+00:00")
    assert web.put(path, json={**name, "value": {"n": 2}, "index": False, "ttl": None}).status_code == 204
    second = web.get(path, query_string={"namespace": ["a", "b"], "key": "k"}).get_json()
    assert (second["value"], second["created_at"]) == ({"n": 2}, first["created_at"])
    assert second["updated_at"] > first["updated_at"]
    for _ in range(2):
        answer = web.delete(path, json=name)
        assert (answer.status_code, answer.text) == (204, "")
        answer = web.get(path, query_string={"namespace": "a.b", "key": "k"})
        assert (answer.status_code, answer.get_json()) == (200, None)


PUT = {"namespace": ["a"], "key": "k", "value": {}}


NO_ITEM: list[tuple[Any, int, str]] = [
    ({"namespace": []}, 400, "cannot be empty"),
    ({"namespace": ["langgraph", "a"]}, 400, "Root label"),
    ({"namespace": ["a.b"]}, 422, "without periods"),
    ({"namespace": ["a", ""]}, 422, "non-empty"),
    ({"namespace": "a"}, 422, "namespace"),
    ({"namespace": [5]}, 422, "namespace"),
    ({"namespace": ["é" * 600]}, 422, "1024 bytes"),
    ({"key": 5}, 422, "key"),
    ({"key": "k" * 1025}, 422, "1024 bytes"),
    ({"value": None}, 422, "value"),
    ({"value": [1]}, 422, "value"),
    ({"index": True}, 422, "index"),
    ({"index": "text"}, 422, "index"),
    ({"index": ["a"] * 33}, 422, "index"),
    ({"ttl": 0}, 422, "ttl"),
    ({"ttl": -1}, 422, "ttl"),
    ({"ttl": "5"}, 422, "ttl"),
    ({"ttl": 1e12}, 422, "ttl"),
]
NO_READ = [
    ("namespace=a", 400), ("key=k", 422), ("namespace=a..b&key=k", 422), ("namespace=a&key=k&refresh_ttl=maybe", 422),
]  # fmt: skip
NO_SEARCH: list[tuple[Any, int, str]] = [
    ({"filter": {"n": {"$near": 1}}}, 400, "Unsupported operator: $near"),
    ({"filter": {"n": {"$gt": None}}}, 400, "$gt compares"),
    ({"filter": {"n": {"$lt": True}}}, 400, "$lt compares"),
    ({"filter": [1]}, 422, "filter"),
    ({"limit": -1}, 422, "limit"),
    ({"limit": 10_001}, 422, "limit"),
    ({"offset": -1}, 422, "offset"),
    ({"namespace_prefix": ["a.b"]}, 422, "without periods"),
    ({"query": 5}, 422, "query"),
]


def test_what_is_no_item_is_refused(web: FlaskClient) -> None:
    """And says in one sentence what would be one."""
    for changed, status, told in NO_ITEM:
        assert told in detail(web.put(ITEMS, json={**PUT, **changed}), status), changed
    for query, status in NO_READ:
        detail(web.get(f"{ITEMS}?{query}"), status)


def test_what_is_no_search_is_refused(web: FlaskClient) -> None:
    for body, status, told in NO_SEARCH:
        assert told in detail(web.post(SEARCH, json=body), status), body


def test_fields_may_be_null(web: FlaskClient, put: Put) -> None:
    """As if they were not there."""
    put(["a"], "k", {})
    fields = ("namespace_prefix", "filter", "limit", "offset", "query", "refresh_ttl")
    assert keys(web.post(SEARCH, json=dict.fromkeys(fields)).get_json()["items"]) == ["k"]
    fields = ("prefix", "suffix", "max_depth", "limit", "offset")
    assert web.post(NAMESPACES, json=dict.fromkeys(fields)).get_json() == {"namespaces": [["a"]]}


def test_a_search_pages_through_what_is_below_a_namespace(put: Put, search: Search) -> None:
    """Last changed first; a name that begins alike, in whatever case, is another one."""
    for key in ("one", "two", "three"):
        put(["foo", "x"], key, {})
    put(["foo"], "two", {"here": True})
    for other in ("foobar", "FOO", "fo*"):
        put([other], "other", {})
    assert keys(search(["foo"])) == ["two", "three", "two", "one"]
    assert keys(search(["foo"], limit=2, offset=1)) == ["three", "two"]
    assert search(["foo"], limit=0) == []
    assert {item["score"] for item in search(["foo"])} == {None}
    assert len(search([])) == 7


VALUES: dict[str, Any] = {
    "ten": {"n": 10, "t": "b"}, "nine": {"n": 9, "t": "B"}, "half": {"n": 9.5}, "text": {"n": "9", "t": "a"},
    "true": {"n": True}, "null": {"n": None}, "none": {}, "list": {"n": [1, {"b": 1, "a": 2}]}, "big": {"n": 2**63},
    "nested": {"n": {"a": 1}}, "dotted": {"n.a": 1, "n-b": 2},
}  # fmt: skip


FILTERS: list[tuple[Any, str]] = [
    ({"n": 9}, "nine"),
    ({"n": 10.0}, "ten"),
    ({"n": "9"}, "text"),
    ({"n": True}, "true"),
    ({"n": None}, "null none dotted"),
    ({"n": [1, {"a": 2, "b": 1}]}, "list"),
    ({"n": {"a": 1}}, "nested"),
    ({"n.a": 1}, "dotted"),
    ({"n-b": {"$eq": 2}}, "dotted"),
    ({"n": {"$gt": 9}}, "ten half big"),
    ({"n": {"$gte": 9, "$lt": 10}}, "nine half"),
    ({"n": {"$lte": 9}}, "nine"),
    ({"n": 2**63}, "big"),
    ({"t": {"$gte": "a"}}, "ten text"),
    ({"t": {"$ne": "b"}}, "nine half text true null none list big nested dotted"),
    ({"n": {"$ne": None}, "t": "b"}, "ten"),
    ({}, " ".join(VALUES)),
]


def test_filters_mean_the_same_on_both_databases(web: FlaskClient, put: Put, search: Search) -> None:
    """Numbers are compared as numbers; a field that is not there is null; a full stop in its name is part of it."""
    for key, value in VALUES.items():
        put(["f"], key, value)
    for wanted, found in FILTERS:
        assert sorted(keys(search(["f"], filter=wanted, limit=100))) == sorted(found.split()), wanted
    odd = web.post(SEARCH, json={"filter": {"') OR 1=1 --": 1}})  # SQLite refuses the name; nothing has it anyway
    assert odd.status_code == 400 or odd.get_json() == {"items": []}


LISTED: list[tuple[Any, list[str]]] = [
    ({}, ["a", "a.b", "a.b.c", "d.b", "d.e.c"]),
    ({"prefix": ["a"]}, ["a", "a.b", "a.b.c"]),
    ({"prefix": ["*", "b"]}, ["a.b", "a.b.c", "d.b"]),
    ({"suffix": ["b"]}, ["a.b", "d.b"]),
    ({"suffix": ["*", "c"]}, ["a.b.c", "d.e.c"]),
    ({"prefix": ["d"], "suffix": ["c"]}, ["d.e.c"]),
    ({"max_depth": 1}, ["a", "d"]),
    ({"max_depth": 2}, ["a", "a.b", "d.b", "d.e"]),
    ({"limit": 2, "offset": 1}, ["a.b", "a.b.c"]),
    ({"limit": 0}, []),
]


def test_namespaces_are_listed(web: FlaskClient, put: Put) -> None:
    for namespace in ("a", "a.b", "a.b.c", "d.b", "d.e.c"):
        put(namespace.split("."), "k", {})
    for body, found in LISTED:
        answer = web.post(NAMESPACES, json=body).get_json()
        assert answer == {"namespaces": [name.split(".") for name in found]}, body


def test_text_that_no_database_holds_becomes_text_that_it_does(web: FlaskClient, put: Put, search: Search) -> None:
    """NUL is U+FFFD, in names and values alike; half of a pair is no JSON."""
    put(["n\0s"], "k\0", {"t\0": "v\0", "emoji": "🦌"})
    found = web.get(f"{ITEMS}?namespace=n%00s&key=k%00").get_json()
    assert found["value"] == {"t\ufffd": "v\ufffd", "emoji": "🦌"}
    assert keys(search(["n\0s"])) == ["k\ufffd"]
    assert web.get(f"{ITEMS}?namespace=a&key=%ED%A0%80").get_json() is None
    half = b'{"namespace": ["a"], "key": "\\ud800", "value": {}}'
    detail(web.put(ITEMS, data=half, content_type="application/json"), 422)
    huge = b'{"namespace": ["a"], "key": "k", "value": {"n": 1e999, "m": 123456789012345678901234567890}}'
    assert web.put(ITEMS, data=huge, content_type="application/json").status_code in {204, 422}
