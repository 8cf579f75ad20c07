"""Clients of a live server: the unmodified Python SDK, sync and async, and plain HTTP."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client

from deerflow.api.mounts import GATEWAY, MOUNTS, PLATFORM, Mount
from tests.conformance.cells import Cells
from tests.conformance.table import SEEN
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import Frame, read_frames

by_mount = pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)
"""For tests of what holds on both mounts, or differs between them."""

Sdk = Any
"""A client of the SDK, used as if it were the sync one; streams come as lists."""


class Flattened:
    """Calls a client of either flavour alike: awaits what it has to, and reads streams to their end."""

    def __init__(self, target: object, loop: asyncio.AbstractEventLoop) -> None:
        self._target, self._loop = target, loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._call(found) if callable(found) else Flattened(found, self._loop)

    def _call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.isawaitable(result):
                return self._loop.run_until_complete(result)
            if hasattr(result, "__aiter__"):
                return self._loop.run_until_complete(_listed(result))
            return list(result) if hasattr(result, "__next__") else result

        return call


async def _listed(stream: Any) -> list[Any]:
    return [part async for part in stream]


@contextmanager
def opened(live: Live, flavour: str, mount: Mount) -> Iterator[Sdk]:
    """A client of the SDK."""
    loop = asyncio.new_event_loop()
    if flavour == "sync":
        yield Flattened(live.client(mount.prefix), loop)
    else:
        client = get_client(url=live.url + mount.prefix, api_key=live.api_key)
        yield Flattened(client, loop)
        loop.run_until_complete(client.aclose())
    loop.close()


@pytest.fixture(params=["sync", "async"])
def sdk(live: Live, request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK on ``/``."""
    with opened(live, request.param, PLATFORM) as client:
        yield client


@pytest.fixture(params=[f"{m.name}-{flavour}" for m in (PLATFORM, GATEWAY) for flavour in ("sync", "async")])
def any_sdk(live: Live, request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK on either mount: for streams and wait."""
    mount, flavour = request.param.split("-")
    with opened(live, flavour, {m.name: m for m in MOUNTS}[mount]) as client:
        yield client


@pytest.fixture
def http(live: Live) -> httpx.Client:
    """Plain HTTP."""
    return live.http()


@pytest.fixture
def thread(http: httpx.Client) -> str:
    """A new thread of the shared server."""
    return str(http.post("/threads", json={}).json()["thread_id"])


@pytest.fixture
def cells(live: Live, request: pytest.FixtureRequest) -> Cells:
    """Where this database's cells are noted."""
    found = SEEN.setdefault(request.node.callspec.params["live"], Cells())
    if not found.endpoints:
        found.know(live.http().get("/openapi.json").json())
    return found


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Leave with a test whether it has failed, for fixtures that end after it."""
    report: Any = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


def went_well(item: pytest.Item) -> bool:
    """Whether a test has run without a failure; for its fixtures, behind their ``yield``."""
    return not item.stash.get(_FAILED, True)


class Wire:
    """The requests that tests of the wire make, on one thread."""

    def __init__(self, http: httpx.Client, thread: str) -> None:
        self.http, self.thread = http, thread

    def create(self, assistant: str, mount: Mount = PLATFORM, **fields: Any) -> str:
        """Start a run in the background; its id."""
        body = {"assistant_id": assistant, **fields}
        answer = self.http.post(f"{mount.prefix}/threads/{self.thread}/runs", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run_id"])

    def open(
        self, method: str, run_id: str, ending: str, mount: Mount = PLATFORM, **request: Any
    ) -> AbstractContextManager[httpx.Response]:
        """Begin to read the answer of one of a run's routes."""
        return self.http.stream(method, f"{mount.prefix}{self.path(run_id)}{ending}", **request)

    def follow(self, run_id: str, last_id: str | None = "-1", query: str = "") -> list[Frame]:
        """Read a run's stream from after *last_id* (None: no header) to its end."""
        headers = {} if last_id is None else {"Last-Event-ID": last_id.encode("latin-1")}
        with self.open("GET", run_id, f"/stream{query}", headers=headers) as answer:
            assert answer.status_code == 200
            return list(read_frames(answer))

    def status(self, run_id: str) -> str:
        """A run's status now."""
        return str(self.http.get(self.path(run_id)).json()["status"])

    def until(self, run_id: str, *wanted: str) -> None:
        """Wait until a run has one of these statuses."""
        wait_for(lambda: self.status(run_id) in wanted, seconds=30, what=f"status {wanted}")

    def ended(self, assistant: str, **fields: Any) -> str:
        """The id of a run that has ended."""
        run_id = self.create(assistant, **fields)
        self.until(run_id, "success", "error", "interrupted")
        return run_id

    def path(self, run_id: str) -> str:
        """Path of a run, below its mount."""
        return f"/threads/{self.thread}/runs/{run_id}"


@pytest.fixture
def wire(http: httpx.Client, thread: str) -> Wire:
    """Requests on a thread of this test's own."""
    return Wire(http, thread)
