"""The pool's contract, each line of it on real worker processes and a real Valkey.

The workers run `pool_app`; what happens in them is told on Redis lists, the marks (`<task id>:<what>`); a
test waits for a mark and never sleeps.
"""

import json
import signal
import time
from contextlib import contextmanager
from uuid import uuid4

import pytest
from celery import Celery
from kombu.asynchronous import Hub

from deerflow.dispatch.pool import AsyncioPool, AsyncTask
from tests.conftest import wait_for
from tests.integration.pool_workers import PATIENCE, Valkey, Worker


def most_at_once(worker, count, *, slots, at_hand):
    """How many of *count* tasks were at work at the same time.

    They go on when *slots* of them have begun, and *at_hand* of them have been received and could have.
    """
    word = uuid4().hex
    tasks = [worker.send("until_told", word) for _ in range(count)]
    for task in tasks[:at_hand]:
        worker.mark(task, "received")
    begun = [int(worker.mark(task, "started")) for task in tasks[:slots]]
    worker.marks.client.rpush(word, "go on")
    begun += [int(worker.mark(task, "started")) for task in tasks[slots:]]
    for task in tasks:
        worker.mark(task, "ended")
    return max(begun)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.close()


@contextmanager
def running_worker(*args, **kwargs):
    worker = Worker(*args, **kwargs)
    try:
        yield worker
    finally:
        worker.close()


@pytest.fixture(scope="module")
def wide(valkey, tmp_path_factory):
    """A worker with room for all tasks of a test and four user threads; must not be stopped by a test."""
    with running_worker(valkey, tmp_path_factory.mktemp("wide"), "-c", "250") as worker:
        yield worker.wait_ready()


@pytest.fixture(scope="module")
def narrow(valkey, tmp_path_factory):
    """A worker with one slot: of two more tasks one is reserved, one queued; not to be stopped."""
    with running_worker(valkey, tmp_path_factory.mktemp("narrow"), "-c", "1", POOL_PREFETCH="1") as worker:
        yield worker.wait_ready()


@pytest.fixture
def start_worker(valkey, tmp_path):
    """Start workers a test may stop."""
    workers = []

    def start(*options, **kwargs):
        workers.append(Worker(valkey, tmp_path, *options, **kwargs))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


# cancelling


def test_a_revoked_running_task_is_cancelled_inside_its_node(wide):
    task = wide.send("nap", 60)
    wide.mark(task, "started")
    wide.revoke(task)
    assert wide.mark(task, "cancelled") == "revoked"
    assert wide.mark(task, "revoked") == "MainThread"  # Celery's callbacks stay on its consumer's thread
    assert "Failed to mark" not in wide.log.read_text()


def test_a_revoked_reserved_task_never_starts(narrow):
    first = narrow.send("nap", 60)
    narrow.mark(first, "started")
    reserved = narrow.send("nap", 0)
    narrow.mark(reserved, "received")
    narrow.revoke(reserved)
    narrow.mark(reserved, "revoked")
    narrow.revoke(first)
    narrow.mark(narrow.send("nap", 0), "ended")  # the slot works on
    assert not narrow.has_mark(reserved, "started")


def test_a_revoked_queued_task_is_discarded(narrow):
    first, reserved = narrow.send("nap", 60), narrow.send("nap", 60)
    narrow.mark(reserved, "received")
    queued = narrow.send("nap", 0)
    narrow.revoke(queued)
    assert not narrow.has_mark(queued, "revoked")  # still in the queue: the worker only remembers the id
    narrow.revoke(reserved)
    narrow.revoke(first)
    narrow.mark(queued, "revoked")
    narrow.mark(narrow.send("nap", 0), "ended")
    assert not narrow.has_mark(queued, "started")


def test_a_run_rung_twice_is_cancelled_by_the_id_that_runs(wide):
    """scenario 20"""
    run = uuid4().hex
    wide.send("nap", 60, task_id=f"{run}.1")
    wide.mark(f"{run}.1", "started")
    wide.send("nap", 0, task_id=f"{run}.2")  # the second ring finds the run claimed and returns
    wide.mark(f"{run}.2", "ended")
    wide.revoke(f"{run}.1")
    assert wide.mark(f"{run}.1", "cancelled") == "revoked"


def test_a_revoke_given_twice_does_not_cut_off_the_clean_up(wide):
    task = wide.send("clean_up_slowly")
    wide.mark(task, "started")
    wide.revoke(task)
    wide.revoke(task)
    wide.mark(task, "cleaned")


def test_a_cancel_works_at_once_while_all_user_threads_sleep(wide):
    sleepers = wide.send("wait_in_threads", 5)
    for _ in range(4):
        wide.mark(sleepers, "thread")
    nap = wide.send("nap", 60)
    wide.mark(nap, "started")
    asked_at = time.monotonic()
    wide.revoke(nap)
    assert wide.mark(nap, "cancelled") == "revoked"
    wide.revoke(sleepers)
    assert wide.mark(sleepers, "cancelled") == "revoked"
    assert time.monotonic() - asked_at < 15  # of the 60 s for which the threads sleep
    assert not wide.has_mark(sleepers, "thread")  # the fifth waited for a thread; cancelled, it gets none
    wide.marks.client.rpush(f"{sleepers}:release", *"1234")
    wide.mark(wide.send("add", 1, 2), "sum")
    assert not wide.has_mark(sleepers, "thread")


def test_a_soft_time_limit_cancels_the_body_and_fails_the_task(wide):
    task = wide.send("until_soft_limit", soft_time_limit=0.3)
    assert wide.mark(task, "cancelled") == "soft time limit"
    assert wide.mark(task, "failed") == "SoftTimeLimitExceeded"


def test_a_hard_time_limit_cancels_a_body_that_ignored_the_soft_one(wide):
    task = wide.send("ignore_soft_limit", soft_time_limit=0.3, time_limit=2.3)
    assert wide.mark(task, "cancelled") == "soft time limit"
    assert wide.mark(task, "cancelled") == "hard time limit"
    assert wide.mark(task, "failed") == "TimeLimitExceeded"


def test_cancels_in_any_phase_leak_no_slot(start_worker):
    """scenario 16"""
    worker = start_worker("-c", "5", "--prefetch-multiplier", "4", POOL_PREFETCH="1").wait_ready()
    tasks = [worker.send("nap", 0.02) for _ in range(100)]
    worker.celery.control.revoke(tasks[::2], terminate=True)
    for task in tasks:
        assert worker.marks.client.blpop([f"{task}:ended", f"{task}:revoked"], timeout=PATIENCE)
    assert most_at_once(worker, 10, slots=5, at_hand=10) == 5


# running


def test_200_tasks_run_at_the_same_time_in_one_process(wide):
    assert most_at_once(wide, 200, slots=200, at_hand=200) == 200


def test_no_more_tasks_run_than_there_are_slots(start_worker):
    worker = start_worker("-c", "3", "--prefetch-multiplier", "4", POOL_PREFETCH="1").wait_ready()
    assert most_at_once(worker, 9, slots=3, at_hand=9) == 3


def test_interleaved_bodies_see_their_own_request_and_context(wide):
    tasks = [wide.send("tell_request", 20) for _ in range(60)]
    for task in tasks:
        assert wide.mark(task, "seen") == repr({(task, task, 0)})


def test_interleaved_bodies_can_retry(wide):
    tasks = [wide.send("flaky", 2) for _ in range(10)]
    for task in tasks:
        assert [wide.mark(task, "attempt") for _ in range(3)] == ["0", "1", "2"]
        assert [wide.mark(task, "retried") for _ in range(2)] == ["0", "1"]


def test_a_sync_task_runs_on_a_user_thread(wide):
    assert wide.mark(wide.send("add", 1, 2), "sum").startswith("3 user-")


def test_a_failing_task_is_reported_with_its_own_traceback(wide):
    task = wide.send("fail")
    assert wide.mark(task, "failed") == "ValueError"
    wide.mark(wide.send("nap", 0), "ended")
    assert 'raise ValueError("as asked")' in wide.log.read_text()


@pytest.mark.parametrize(
    ("task", "error"), [("exit_in_node", "RuntimeError"), ("exit_in_sync_task", "WorkerLostError")]
)
def test_exit_fails_its_own_task_and_no_other(wide, task, error):
    neighbour = wide.send("nap", 1)
    wide.mark(neighbour, "started")
    assert wide.mark(wide.send(task), "failed") == error
    wide.mark(neighbour, "ended")
    wide.mark(wide.send("nap", 0), "ended")


def test_inspect_tells_how_many_tasks_run_and_wait(narrow):
    running, waiting = narrow.send("nap", 60), narrow.send("nap", 60)
    narrow.mark(waiting, "received")
    node = f"{narrow.name}@test"
    pool = narrow.celery.control.inspect(destination=[node], limit=1, timeout=PATIENCE).stats()[node]["pool"]
    assert (pool["max-concurrency"], pool["running"], pool["waiting"]) == (1, 1, 1)
    narrow.revoke(waiting)
    narrow.revoke(running)


def test_a_blocked_loop_is_named_in_the_log(wide):
    task = wide.send("block_loop", 4)
    wide.mark(task, "ended")
    lines = [line for line in wide.log.read_text().splitlines() if "The event loop is blocked" in line]
    assert sum(f"block_loop[{task}]" in line for line in lines) == 1


def test_without_a_pool_a_task_runs_on_a_loop_of_its_own():
    with Celery(task_cls=AsyncTask, set_as_current=False) as app:

        @app.task(bind=True, shared=False)  # else every app of this process would have it
        async def tell(task):
            return task.request.id

        assert tell.apply(task_id="eager").get() == "eager"


def test_an_acknowledgement_does_not_wait_for_the_next_poll():
    """Celery's accept callback leaves it to the hub, in the middle of a turn."""
    hub, said = Hub(), []
    pool = AsyncioPool(2, app=Celery(set_as_current=False))
    pool.register_with_event_loop(hub)
    pool.post(lambda: hub.call_soon(said.append, "acknowledged"))
    next(hub.loop)
    assert said == ["acknowledged"]
    hub.close()


# opening and closing


def test_the_lifespan_is_open_before_the_first_message_and_closed_after_the_last_task(start_worker):
    worker = start_worker("-c", "5", POOL_DRAIN="0.5")
    task = worker.send("clean_up_slowly")
    worker.mark(task, "started")
    assert worker.mark(worker.name, "opened") == "True"
    assert worker.stop(signal.SIGTERM) == 0
    assert worker.has_mark(task, "cleaned")
    assert worker.has_mark(worker.name, "closed")


def test_a_lifespan_that_fails_ends_the_worker_with_an_error(start_worker):
    worker = start_worker(POOL_LIFESPAN="pool_app.app:broken_lifespan")
    assert worker.exit_code() == 1
    log = worker.log.read_text()
    assert "The worker cannot start: opening its resources failed: RuntimeError('no database today')" in log
    assert 'raise RuntimeError("no database today")' in log


def test_a_worker_told_to_stop_while_it_opens_ends_at_once(start_worker):
    worker = start_worker(POOL_LIFESPAN="pool_app.app:endless_lifespan")
    worker.mark(worker.name, "opening")
    assert worker.stop(signal.SIGTERM) == 0


def test_a_lifespan_that_breaks_later_stops_the_worker(start_worker):
    worker = start_worker(POOL_LIFESPAN="pool_app.app:breaking_lifespan").wait_ready()
    task = worker.send("until_drain")
    worker.mark(task, "started")
    worker.marks.client.rpush(f"{worker.name}:break", "now")
    assert worker.exit_code() == 1
    assert worker.has_mark(task, "ended")
    assert "ConnectionError: the lease is gone" in worker.log.read_text()


# stopping


def left_with_broker(worker):
    """How many messages of the worker's queue are not acknowledged, and how many wait in it."""
    kept = worker.broker.client.hvals("unacked")  # of every queue: workers of other tests were killed
    return sum(json.loads(each)[2] == worker.name for each in kept), worker.broker.client.llen(worker.name)


def test_a_warm_stop_lets_50_running_tasks_end(start_worker):
    worker = start_worker("-c", "50").wait_ready()
    tasks = [worker.send("nap", 2) for _ in range(50)]
    for task in tasks:
        worker.mark(task, "started")
    assert worker.stop(signal.SIGTERM) == 0
    assert all(worker.has_mark(task, "ended") for task in tasks)
    assert left_with_broker(worker) == (0, 0)


def test_a_task_learns_of_the_drain_on_the_loop(start_worker):
    worker = start_worker().wait_ready()
    task = worker.send("until_drain")
    worker.mark(task, "started")
    stopped_at = time.monotonic()
    assert worker.stop(signal.SIGTERM) == 0
    assert worker.has_mark(task, "ended")
    assert time.monotonic() - stopped_at < 15  # of the 20 s it may take


def test_a_remote_shutdown_drains_too(start_worker):
    worker = start_worker().wait_ready()
    task = worker.send("until_drain")
    worker.mark(task, "started")
    worker.celery.control.shutdown(destination=[f"{worker.name}@test"])
    assert worker.exit_code() == 0
    assert worker.has_mark(task, "ended")


def test_a_warm_stop_gives_back_what_has_not_started(start_worker):
    worker = start_worker("-c", "1", POOL_PREFETCH="1").wait_ready()
    first = worker.send("until_drain")
    worker.mark(first, "started")
    reserved, queued = worker.send("nap", 0), worker.send("nap", 0)
    worker.mark(reserved, "received")
    assert worker.stop(signal.SIGTERM) == 0
    assert worker.has_mark(first, "ended")
    assert not worker.has_mark(reserved, "started")
    assert left_with_broker(worker) == (0, 2)
    other = start_worker("-Q", worker.name).wait_ready()
    other.mark(reserved, "ended")
    other.mark(queued, "ended")


def test_a_warm_stop_cancels_what_outlasts_the_drain(start_worker):
    worker = start_worker("-c", "10", POOL_DRAIN="1").wait_ready()
    naps = [worker.send("nap", 60) for _ in range(3)]
    slow = worker.send("clean_up_slowly")
    for task in [*naps, slow]:
        worker.mark(task, "started")
    assert worker.stop(signal.SIGTERM) == 0
    assert [worker.mark(task, "cancelled") for task in naps] == ["shutdown"] * 3
    assert worker.has_mark(slow, "cleaned")
    assert worker.mark(worker.name, "closed") == "0 running"


def test_a_cold_stop_cancels_at_once(start_worker):
    worker = start_worker().wait_ready()
    task = worker.send("nap", 60)
    worker.mark(task, "started")
    worker.stop(signal.SIGQUIT, timeout=15)  # of the 20 s that a drain may take
    assert worker.mark(task, "cancelled") == "shutdown"
    assert worker.mark(worker.name, "closed") == "0 running"


def test_a_cold_stop_during_a_drain_ends_it(start_worker):
    worker = start_worker().wait_ready()
    task = worker.send("nap", 60)
    worker.mark(task, "started")
    drained = worker.send("until_drain")
    worker.mark(drained, "started")
    worker.process.send_signal(signal.SIGTERM)
    worker.mark(drained, "ended")
    wait_for(lambda: "The worker stops when these tasks have ended" in worker.log.read_text(), what="the drain")
    worker.stop(signal.SIGQUIT, timeout=15)
    assert worker.mark(task, "cancelled") == "shutdown"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGQUIT])
def test_sleeping_user_threads_do_not_keep_a_stopped_worker(start_worker, signum):
    worker = start_worker("-c", "2", POOL_DRAIN="0.5").wait_ready()
    task = worker.send("wait_in_threads", 5)
    for _ in range(4):
        worker.mark(task, "thread")
    worker.stop(signum)
    assert worker.mark(task, "cancelled") == "shutdown"


def test_a_thread_of_the_users_own_does_not_keep_a_stopped_worker(start_worker):
    worker = start_worker().wait_ready()
    worker.mark(worker.send("leave_thread", 60), "ended")
    assert worker.stop(signal.SIGTERM) == 0
    assert "Exiting without waiting for threads" in worker.log.read_text()


# the broker


def test_tasks_outlive_the_broker_and_no_slot_is_lost(start_worker, tmp_path_factory):
    broker = Valkey(tmp_path_factory.mktemp("broker"))
    try:
        worker = start_worker("-c", "3", broker=broker).wait_ready()
        tasks = [worker.send("until_told", "broker gone") for _ in range(3)]
        for task in tasks:
            worker.mark(task, "started")
        wait_for(
            lambda: left_with_broker(worker) == (0, 0), what="the acks"
        )  # an ack cut off here would be a message left over below
        broker.keep()
        broker.kill()
        worker.marks.client.rpush("broker gone", "go on")
        for task in tasks:
            worker.mark(task, "ended")
        broker.start()
        worker.celery.close()
        worker.open_client()
        assert most_at_once(worker, 6, slots=3, at_hand=3) == 3
        assert worker.stop(signal.SIGTERM) == 0
        assert left_with_broker(worker) == (0, 0)
    finally:
        broker.close()
