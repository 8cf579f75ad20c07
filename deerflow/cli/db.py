"""``flask db``: the schema of the app database and of the checkpoint store."""

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import click

from deerflow import project
from deerflow.backend import open_backend
from deerflow.cli import sentences
from deerflow.errors import ConfigError, Unavailable
from deerflow.runtime.boot import boot
from deerflow.runtime.set_up import first_boot
from deerflow.settings import ROOT, Settings
from deerflow.storage.database import sqlite_path

if TYPE_CHECKING:
    from alembic.config import Config


@click.group("db")
def group() -> None:
    """Manage the schema."""


@group.command("upgrade")
@sentences
def upgrade_command() -> None:
    """Bring all tables to this release; safe to run again, and while the last release still runs."""
    upgrade(Settings.from_env())
    click.echo("The schema is up to date.")


def upgrade(settings: Settings) -> None:
    """Migrate the app database, set up the checkpoint store, give every graph its assistant, open set-up.

    Raises Unavailable with the reason, and ConfigError when a newer release has written the data.
    """
    # These take long to import, and no other command of this module's importers needs them.
    import psycopg
    from alembic import command
    from alembic.util import CommandError

    from deerflow.graphs.savers import set_up

    for url in (settings.database, settings.checkpoints):
        if url.startswith("sqlite:///"):
            sqlite_path(url).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        command.upgrade(alembic_config(settings.database), "head")
        asyncio.run(set_up(settings.checkpoints, project.load(settings.project_file).store.index))
    except (sqlite3.Error, psycopg.Error, OSError) as error:
        raise Unavailable("The checkpoint store cannot be prepared") from error
    except CommandError as error:
        raise ConfigError(
            f"The database was written by a newer release ({error}). Update this checkout, or use other data."
        ) from error
    backend = open_backend(settings, sql_pool=1)
    try:
        boot(backend)
        if settings.auth == "accounts":
            first_boot(backend, admin_email=settings.admin_email, admin_password=settings.admin_password)
    finally:
        backend.close()


def alembic_config(url: str) -> "Config":
    """Alembic's configuration for a database of ours."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["url"] = url
    return config
