"""Celery's options in the pool's tests; what differs between workers comes from the environment."""

import os

broker_url = os.environ["POOL_BROKER"]
worker_pool = "deerflow.dispatch.pool:AsyncioPool"
worker_prefetch_multiplier = 1
worker_disable_prefetch = "POOL_PREFETCH" not in os.environ
broker_connection_retry_on_startup = True
worker_cancel_long_running_tasks_on_connection_loss = True  # we ack early: only silences a warning about its default
task_ignore_result = True
worker_send_task_events = True

deerflow_pool_lifespan = os.environ.get("POOL_LIFESPAN", "pool_app.app:lifespan")
deerflow_drain_seconds = float(os.environ.get("POOL_DRAIN", "20"))
deerflow_user_threads = 4
