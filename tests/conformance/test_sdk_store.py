"""The Python SDK's store, unmodified, and graphs that find the same items."""

from uuid import uuid4

import pytest
from langgraph_sdk.errors import BadRequestError, UnprocessableEntityError

from tests.conformance.conftest import Sdk


def test_life_of_an_item(sdk: Sdk) -> None:
    """An item is stored, read, found, listed and deleted."""
    name = str(uuid4())
    assert sdk.store.put_item([name, "a"], key="k", value={"n": 1}, index=False, ttl=5) is None
    item = sdk.store.get_item([name, "a"], key="k", refresh_ttl=True)
    assert (item["namespace"], item["key"], item["value"]) == ([name, "a"], "k", {"n": 1})
    found = sdk.store.search_items([name], filter={"n": {"$gte": 1}}, query="anything", limit=5, refresh_ttl=False)
    assert found == {"items": [{**item, "score": None}]}
    listed = sdk.store.list_namespaces(prefix=[name], suffix=["a"], max_depth=2)
    assert listed == {"namespaces": [[name, "a"]]}
    assert sdk.store.delete_item([name, "a"], key="k") is None
    assert sdk.store.get_item([name, "a"], key="k") is None


def test_errors_are_sentences(sdk: Sdk) -> None:
    """The SDK finds ours in an error's body."""
    with pytest.raises(BadRequestError, match="Namespace cannot be empty"):
        sdk.store.put_item([], key="k", value={})
    with pytest.raises(UnprocessableEntityError, match="value"):
        sdk.store.put_item(["a"], key="k", value=None)


def test_graphs_and_clients_have_the_same_items(sdk: Sdk) -> None:
    """A run finds what a client has put, and a client what a run has."""
    before, word = str(uuid4()), str(uuid4())
    sdk.store.put_item(["words"], key=before, value={})
    left = sdk.runs.wait(None, "noting", input={"word": word})
    assert before in left["before"]
    item = sdk.store.get_item(["words"], key=word)
    assert (item["namespace"], item["value"]) == (["words"], {})
    for key in (before, word):
        sdk.store.delete_item(["words"], key=key)
