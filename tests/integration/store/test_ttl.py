"""Items that expire: nobody sees them from that moment, and the clock removes them."""

import asyncio
from typing import Any, cast

from flask.testing import FlaskClient

from deerflow.backend import WorkerBackend
from deerflow.runtime.sweep import sweep_items
from tests.conftest import wait_for
from tests.integration.store.conftest import Put, without_index
from tests.integration.store.state_worker import WorkerBell
from tests.integration.store.test_items import ITEMS, NAMESPACES, Search, keys

AT_ONCE = 0.0005
"""Minutes: over before anybody looks, or soon after."""


def rows(bell: WorkerBell) -> list[tuple[str, float | None]]:
    """Key and minutes of all that is stored, expired or not."""

    return [(key, minutes) for key, minutes in bell.rows("SELECT key, ttl_minutes FROM store ORDER BY key")]


def get(web: FlaskClient, key: str, **query: Any) -> Any:
    return web.get(ITEMS, query_string={"namespace": "t", "key": key, **query}).get_json()


def test_what_has_expired_is_seen_by_nobody_and_removed(
    web: FlaskClient, put: Put, search: Search, bell: WorkerBell
) -> None:
    """By no read, also before the clock has come; put again it lives again."""
    put(["t"], "gone", {"text": "red"}, ttl=5)
    put(["u"], "stays", {"text": "red"})
    assert get(web, "gone") is not None
    for key in ("gone", "again"):
        put(["t"], key, {"text": "red"}, ttl=AT_ONCE)
    for key in ("gone", "again"):
        wait_for(lambda key=key: get(web, key) is None, what="the end of an item")
    put(["t"], "again", {"text": "red"}, ttl=None)
    assert keys(search(["t"])) == keys(search(["t"], query="red")) == ["again"]
    put(["v"], "gone", {}, ttl=AT_ONCE)
    wait_for(lambda: ["v"] not in web.post(NAMESPACES, json={}).get_json()["namespaces"], what="the namespace's end")
    wait_for(lambda: bell.do(sweep_items(cast(WorkerBackend, bell.worker))) is None and len(rows(bell)) == 2)
    assert rows(bell) == [("again", 60), ("stays", 60)]


def test_a_read_that_refreshes_keeps_an_item(web: FlaskClient, put: Put, search: Search) -> None:
    """As the read or langgraph.json says; any part of a minute is one."""
    for key in ("read", "found", "left"):
        put(["t"], key, {"is": key}, ttl=0.05)
    put(["t"], "measure", {}, ttl=0.065)

    def read() -> bool:
        assert get(web, "read", refresh_ttl="true") is not None
        assert keys(search(["t"], filter={"is": "found"}, refresh_ttl=True)) == ["found"]
        return get(web, "measure") is None

    wait_for(read, what="longer than the items were to live")
    assert get(web, "left") is None


@without_index
def test_graphs_say_how_long(bell: WorkerBell) -> None:
    """Without a word of langgraph.json's an item stays; a sync node's thread says it as well."""
    store = bell.worker.savers.store("me")

    async def body() -> None:
        await store.aput(("t",), "for ever", {})
        await asyncio.to_thread(store.put, ("t",), "an hour", {}, ttl=60)
        await asyncio.to_thread(store.put, ("t",), "half", {}, ttl=0.5)

    bell.do(body())
    assert rows(bell) == [("an hour", 60), ("for ever", None), ("half", 0.5)]
