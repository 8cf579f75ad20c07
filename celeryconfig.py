"""Celery's options, a reason on each line; its URLs come from Settings."""

from deerflow.dispatch.bell import CONNECTION
from deerflow.settings import Settings

_settings = Settings.from_env()

globals().update(CONNECTION)

broker_url = _settings.broker
worker_pool = "deerflow.dispatch.pool:AsyncioPool"  # our asyncio pool (ADR 0002)
worker_concurrency = _settings.worker_runs
worker_prefetch_multiplier = 1
worker_disable_prefetch = True  # a busy worker must not hoard runs that another could start
task_acks_late = False  # the row and its lease are the safety net, not the broker (ADR 0003)
worker_send_task_events = True  # Flower and celery events see the runs
worker_hijack_root_logger = False  # deerflow.logs sets logging up
worker_redirect_stdouts = False  # a graph's print() goes where the operator looks, unchanged
worker_enable_remote_control = True  # revoke comes through it
worker_cancel_long_running_tasks_on_connection_loss = True  # of late acking tasks only; ours ack early and run on
timezone = "UTC"

task_routes = {
    "tasks.runs.*": {"queue": "runs"},
    "tasks.state.*": {"queue": "state"},
    "tasks.clock.*": {"queue": "clock"},
}

beat_schedule = {
    # expires = period: after an outage the clock does each act once, not once for every missed turn.
    "reap": {
        "task": "tasks.clock.reap",
        "schedule": _settings.reap_seconds,
        "options": {"expires": _settings.reap_seconds},
    },
    "tick": {"task": "tasks.clock.tick", "schedule": 1.0, "options": {"expires": 1.0}},
    "notify": {"task": "tasks.clock.notify", "schedule": 1.0, "options": {"expires": 1.0}},
    "sweep": {"task": "tasks.clock.sweep", "schedule": 30.0, "options": {"expires": 30.0}},
}
beat_scheduler = "celery.beat:Scheduler"  # periods of seconds need no memory, so no file that could break

deerflow_pool_lifespan = "tasks:lifespan"
deerflow_drain_seconds = _settings.drain_seconds
deerflow_user_threads = _settings.worker_threads
