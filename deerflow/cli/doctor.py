"""``flask doctor``: looks at a running deploy, or one that does not run, and says what is wrong with it."""

from collections.abc import Callable
from typing import TypeVar

import click
import redis as redis_client

from deerflow import project
from deerflow.backend import Backend, open_backend
from deerflow.cli import with_cause
from deerflow.dispatch.bell import CLOCK, RUNS, STATE
from deerflow.errors import ConfigError, DeerflowError
from deerflow.events.connections import connect
from deerflow.settings import Settings
from deerflow.storage.database import Database
from deerflow.storage.schema import revision

T = TypeVar("T")


@click.command("doctor")
def command() -> None:
    """Check settings, project, database, Redis and workers; exit code 1 when something is wrong."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("project", _project),
        ("database", _database),
        ("redis", _redis),
        ("workers", _workers),
        ("queue", _queue),
    ]
    try:
        settings = Settings.from_env()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    wrong = [name for name, check in checks if not _told(name, check, settings)]
    if wrong:
        raise click.ClickException(f"something is wrong with: {', '.join(wrong)}")


def _told(name: str, check: Callable[[Settings], str], settings: Settings) -> bool:
    try:
        click.echo(f"ok       {name:10} {check(settings)}")
    except (DeerflowError, redis_client.RedisError, OSError) as error:
        click.echo(f"problem  {name:10} {with_cause(error)}")
        return False
    return True


def _project(settings: Settings) -> str:
    found = project.load(settings.project_file)
    return f"{settings.project_file}: {', '.join(found.graphs)}"


def _database(settings: Settings) -> str:
    database = Database(settings.database, pool=1)
    try:
        database.ping()
        here, wanted = revision(database)
        if here != wanted:
            raise ConfigError(
                f"the schema is at {here or 'nothing'}, this release needs {wanted}: flask --app app db upgrade"
            )
        return f"{database.engine.url.render_as_string(hide_password=True)}, schema {here}"
    finally:
        database.close()


def _redis(settings: Settings) -> str:
    client = connect(settings.redis, pool=1)
    try:
        server = client.info("server")
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "unknown")
    finally:
        client.close()
    if policy not in {"noeviction", "unknown"}:
        raise ConfigError(f"maxmemory-policy is {policy}: events would silently go missing; set it to noeviction")
    return f"version {server.get('valkey_version') or server.get('redis_version')}, {policy}"


def _workers(settings: Settings) -> str:
    alive = _with_backend(settings, lambda backend: backend.presence.alive())
    missing = [queue for queue in (RUNS, STATE, CLOCK) if not any(queue in worker.queues for worker in alive)]
    if missing:
        raise ConfigError(f"nobody works on: {', '.join(missing)}; the Procfile says how to start them")
    return ", ".join(sorted(worker.name for worker in alive))


def _queue(settings: Settings) -> str:
    waiting = _with_backend(settings, lambda backend: backend.bell.waiting(RUNS))
    return f"{waiting} messages wait for a worker"


def _with_backend(settings: Settings, act: Callable[[Backend], T]) -> T:
    backend = open_backend(settings, sql_pool=1)
    try:
        return act(backend)
    finally:
        backend.close()
