"""A key is revoked while programs use it: new requests at once, open answers within seconds; their runs go on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client

from tests.conftest import SETUPS, live_on, wait_for
from tests.databases import Databases
from tests.live import Live

KEYS = "/api/v1/auth/keys"
ROOM_SECONDS = 20
"""10 s are promised, which are two heartbeats (test_two_webs.py counts them); the rest is room for a busy machine."""


@pytest.fixture(scope="module", params=SETUPS)
def server(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server with accounts."""
    server = live_on(request.param, databases, tmp_path_factory.mktemp("revoking"), auth="accounts")
    server.start()
    yield server
    server.stop_if_running()


class Ending:
    """Reads an answer of the SDK to its end: when that came, and by what."""

    def __init__(self, pool: ThreadPoolExecutor, read: Any) -> None:
        self._future = pool.submit(self._read, read)

    def _read(self, read: Any) -> tuple[float, Exception | None]:
        try:
            for _ in read() or ():
                continue
        except Exception as error:  # noqa: BLE001 - what it is, is the test's question
            return time.monotonic(), error
        return time.monotonic(), None

    def result(self) -> tuple[float, Exception | None]:
        return self._future.result(30)


def test_revoking_a_key_ends_all_that_it_has_opened(server: Live) -> None:
    """The next request is 401, the SDK's streams and joins end in time; also a creator's with on_disconnect=cancel."""
    made = server.http().post(KEYS, json={"name": "to be revoked"}).json()
    headers = {"x-api-key": made["key"]}
    client = get_sync_client(url=server.url, api_key=made["key"])
    thread = client.threads.create()["thread_id"]
    long = {"input": {"kind": "patient", "seconds": 60}, "on_disconnect": "cancel"}
    with ThreadPoolExecutor(2) as pool:
        created = Ending(pool, lambda: client.runs.stream(thread, "stubborn", **long))
        run = _first_run(server, thread)
        joined = Ending(pool, lambda: client.runs.join(thread, run["run_id"]))
        assert httpx.get(f"{server.url}/threads/{thread}", headers=headers).status_code == 200
        revoked = time.monotonic()
        assert server.http().delete(f"{KEYS}/{made['key_id']}").status_code == 204
        assert httpx.get(f"{server.url}/threads/{thread}", headers=headers).status_code == 401
        for ended, error in (created.result(), joined.result()):
            assert ended - revoked < ROOM_SECONDS
            assert error is not None, "an orderly end would mean that the run is over"
    client.http.client.close()
    time_to_notice = server.http().get(f"/threads/{thread}/runs/{run['run_id']}", headers={"Prefer": "wait=2"}).json()
    assert time_to_notice["status"] == "running", "nobody who has left has cancelled it"
    server.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel?wait=1")


def _first_run(server: Live, thread: str) -> dict[str, Any]:
    def running() -> list[dict[str, Any]]:
        return [run for run in server.http().get(f"/threads/{thread}/runs").json() if run["status"] == "running"]

    wait_for(running, what="the run's start")
    return running()[0]
