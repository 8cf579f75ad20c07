"""A small Celery app that tells what happens in it on Redis lists, called marks."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar

import redis
from celery import Celery, signals
from redis.asyncio import Redis

from deerflow.dispatch.pool import AsyncTask

app = Celery("pool_app", task_cls=AsyncTask, config_source="pool_app.celeryconfig")
marks = redis.Redis.from_url(os.environ["POOL_MARKS"], decode_responses=True, socket_timeout=None)
prerun_id: ContextVar[str] = ContextVar("prerun_id")
running: set[str] = set()


def mark(key, value="1"):
    marks.rpush(key, value)


@asynccontextmanager
async def lifespan(pool):
    mark(f"{os.environ['POOL_NAME']}:opened", str(asyncio.get_running_loop() is pool.loop))
    async with Redis.from_url(os.environ["POOL_MARKS"], socket_timeout=None) as client:
        yield client
    mark(f"{os.environ['POOL_NAME']}:closed", f"{len(running)} running")


@asynccontextmanager
async def broken_lifespan(_pool):
    raise RuntimeError("no database today")
    yield


@asynccontextmanager
async def endless_lifespan(_pool):
    mark(f"{os.environ['POOL_NAME']}:opening")
    await asyncio.Event().wait()
    yield


@asynccontextmanager
async def breaking_lifespan(_pool):
    """Hold a task group of which one task breaks when told to."""

    async def beat(client):
        await client.blpop(f"{os.environ['POOL_NAME']}:break")
        raise ConnectionError("the lease is gone")

    async with (
        Redis.from_url(os.environ["POOL_MARKS"], socket_timeout=None) as client,
        asyncio.TaskGroup() as beats,
    ):
        beats.create_task(beat(client))
        yield client


@signals.worker_ready.connect
def on_ready(**_):
    mark(f"{os.environ['POOL_NAME']}:ready", str(os.getpid()))


@signals.task_received.connect
def on_received(request, **_):
    mark(f"{request.id}:received", threading.current_thread().name)


@signals.task_prerun.connect
def on_prerun(task_id, **_):
    prerun_id.set(task_id)


@signals.task_revoked.connect
def on_revoked(request, **_):
    mark(f"{request.id}:revoked", threading.current_thread().name)


@signals.task_retry.connect
def on_retried(request, **_):
    mark(f"{request.id}:retried", str(request.retries))


@signals.task_failure.connect
def on_failed(task_id, exception, **_):
    mark(f"{task_id}:failed", type(exception).__name__)


@app.task(bind=True, name="nap")
async def nap(self, seconds):
    """Sleep; tell when it starts, ends or is cancelled."""
    me = self.request.id
    running.add(me)
    mark(f"{me}:started", str(len(running)))
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as error:
        mark(f"{me}:cancelled", error.args[0])
        raise
    finally:
        running.discard(me)
    mark(f"{me}:ended")
    return "slept"


@app.task(bind=True, name="until_told")
async def until_told(self, word):
    """Go on until there is a mark of that name; tell the start and the end."""
    me = self.request.id
    running.add(me)
    mark(f"{me}:started", str(len(running)))
    while not marks.exists(word):  # noqa: ASYNC110 - no event of ours
        await asyncio.sleep(0.3)
    running.discard(me)
    mark(f"{me}:ended")


@app.task(bind=True, name="wait_in_threads")
async def wait_in_threads(self, count):
    """Occupy *count* user threads until each gets a release."""
    me = self.request.id

    def wait():
        mark(f"{me}:thread", threading.current_thread().name)
        marks.blpop(f"{me}:release", timeout=60)

    try:
        await asyncio.gather(*[asyncio.to_thread(wait) for _ in range(count)])
    except asyncio.CancelledError as error:
        mark(f"{me}:cancelled", error.args[0])
        raise


@app.task(bind=True, name="leave_thread")
async def leave_thread(self, seconds):
    """Leave a thread running that Python joins at exit, as LangChain's sync batch does."""
    ThreadPoolExecutor(1).submit(time.sleep, seconds)
    mark(f"{self.request.id}:ended")


@app.task(bind=True, name="tell_request")
async def tell_request(self, rounds):
    """Look at self.request again and again among other tasks."""
    seen = set()
    for _ in range(rounds):
        await asyncio.sleep(0.01)
        seen.add((self.request.id, prerun_id.get(), self.request.retries))
    await self.resources.rpush(f"{self.request.id}:seen", repr(seen))


@app.task(bind=True, name="flaky", max_retries=5)
async def flaky(self, failures):
    """Fail and retry *failures* times."""
    await asyncio.sleep(0.01)
    mark(f"{self.request.id}:attempt", str(self.request.retries))
    if self.request.retries < failures:
        raise self.retry(countdown=0.1)


@app.task(bind=True, name="add")
def add(self, a, b):
    mark(f"{self.request.id}:sum", f"{a + b} {threading.current_thread().name}")


@app.task(name="fail")
async def fail():
    raise ValueError("as asked")


@app.task(name="exit_in_node")
async def exit_in_node():
    """Call exit() the way a node does: in an asyncio task of its own."""

    async def node():
        raise SystemExit(3)

    await asyncio.create_task(node())


@app.task(name="exit_in_sync_task")
def exit_in_sync_task():
    raise SystemExit(3)


@app.task(bind=True, name="block_loop")
async def block_loop(self, seconds):
    time.sleep(seconds)  # noqa: ASYNC251 - the fault under test
    mark(f"{self.request.id}:ended")


@app.task(bind=True, name="until_soft_limit")
async def until_soft_limit(self):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        mark(f"{self.request.id}:cancelled", error.args[0])
        raise


@app.task(bind=True, name="ignore_soft_limit")
async def ignore_soft_limit(self):
    """Go on after the soft limit; the next reason must still get through."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            mark(f"{self.request.id}:cancelled", error.args[0])
            if error.args[0] != "soft time limit":
                raise


@app.task(bind=True, name="clean_up_slowly")
async def clean_up_slowly(self):
    """Need a moment after the cancel, like a run that stores how it ended."""
    mark(f"{self.request.id}:started")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.2)
        mark(f"{self.request.id}:cleaned")


@app.task(bind=True, name="until_drain")
async def until_drain(self):
    """End as soon as the worker drains."""
    mark(f"{self.request.id}:started")
    await self.app.deerflow_pool.draining.wait()
    mark(f"{self.request.id}:ended")
