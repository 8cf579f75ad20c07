"""Clients of a live server: the unmodified Python SDK, sync and async, and plain HTTP."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
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
    """Calls a client of either flavour alike: awaits what it has to, and reads streams to their end.

    What is no JSON comes flattened too, and is iterated as a list. *most*: of a stream only so many parts are read.
    """

    def __init__(self, target: object, loop: asyncio.AbstractEventLoop, most: int | None = None) -> None:
        self._target, self._loop, self._most = target, loop, most

    def __getattr__(self, name: str) -> Any:
        found = self._loop.run_until_complete(_got(self._target, name))
        return self._call(found) if callable(found) else self._flat(found)

    def __getitem__(self, key: str) -> Any:
        return self._flat(self._target[key])  # type: ignore[index]

    def __iter__(self) -> Iterator[Any]:
        return iter([self._flat(part) for part in self._read(self._target)])

    def taking(self, most: int) -> "Flattened":
        """The same, for streams that have no end."""
        return Flattened(self._target, self._loop, most)

    @contextmanager
    def within(self, manager: Any) -> Iterator["Flattened"]:
        """A context of this client's flavour, entered and left."""
        is_async = hasattr(manager, "__aenter__")
        entered = self._loop.run_until_complete(manager.__aenter__()) if is_async else manager.__enter__()
        try:
            yield Flattened(entered, self._loop, self._most)
        finally:
            left = manager.__aexit__(None, None, None) if is_async else manager.__exit__(None, None, None)
            if is_async:
                self._loop.run_until_complete(left)

    def _call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if inspect.isawaitable(result):
                result = self._loop.run_until_complete(_awaited(result))
            is_stream = inspect.isasyncgen(result) or hasattr(result, "__next__")
            return self._read(result) if is_stream else result

        return call

    def _flat(self, found: Any) -> Any:
        if isinstance(found, _PLAIN):
            return found
        if inspect.isawaitable(found) and not hasattr(found, "__aiter__"):
            return self._loop.run_until_complete(_awaited(found))
        return Flattened(found, self._loop, self._most)

    def _read(self, stream: Any) -> list[Any]:
        if hasattr(stream, "__aiter__"):
            return self._loop.run_until_complete(_listed(stream, self._most))
        return list(islice(stream, self._most))


_PLAIN = (dict, list, tuple, str, int, float, type(None))


async def _got(target: object, name: str) -> Any:
    """An attribute, as code on the loop finds it; what an async client does in the background goes on meanwhile."""
    await asyncio.sleep(0)
    return getattr(target, name)


async def _awaited(result: Any) -> Any:
    return await result


async def _listed(stream: Any, most: int | None) -> list[Any]:
    parts: list[Any] = []
    async for part in stream:
        parts.append(part)
        if len(parts) == most:
            break
    return parts


Call = tuple[str, str, int]
"""Method, path and status of a request that a client has made."""


@contextmanager
def opened(live: Live, flavour: str, mount: Mount) -> Iterator[tuple[Sdk, list[Call]]]:
    """A client of the SDK, and the calls that it makes."""
    loop = asyncio.new_event_loop()
    if flavour == "sync":
        shared = live.client(mount.prefix)
        with heard(shared.http.client) as calls:
            yield Flattened(shared, loop), calls
    else:
        client = get_client(url=live.url + mount.prefix, api_key=live.api_key)
        with heard(client.http.client) as calls:
            yield Flattened(client, loop), calls
        loop.run_until_complete(client.aclose())
    loop.close()


@contextmanager
def heard(client: httpx.Client | httpx.AsyncClient) -> Iterator[list[Call]]:
    """What an HTTP client calls within the block, as httpx itself tells it."""
    calls: list[Call] = []

    def note(answer: httpx.Response) -> None:
        calls.append((answer.request.method, answer.request.url.path, answer.status_code))

    async def note_later(answer: httpx.Response) -> None:
        note(answer)

    hook = note if isinstance(client, httpx.Client) else note_later
    client.event_hooks["response"].append(hook)
    yield calls
    client.event_hooks["response"].remove(hook)


@pytest.fixture(params=["sync", "async"])
def sdk(live: Live, cells: Cells, request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK on ``/``; what it calls is noted in the table."""
    with opened(live, request.param, PLATFORM) as (client, calls):
        yield client
    cells.record_calls(f"python-{request.param}", calls, ok=went_well(request.node))


@pytest.fixture(params=[f"{m.name}-{flavour}" for m in (PLATFORM, GATEWAY) for flavour in ("sync", "async")])
def any_sdk(live: Live, request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """The SDK on either mount: for streams and wait."""
    mount, flavour = request.param.split("-")
    with opened(live, flavour, {m.name: m for m in MOUNTS}[mount]) as (client, _):
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
        wait_for(lambda: self.status(run_id) in wanted, what=f"status {wanted}")

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
