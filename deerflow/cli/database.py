"""The server's database for commands that look at it or change it, while the server runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager

from deerflow.errors import ConfigError
from deerflow.settings import Settings
from deerflow.storage.database import Database, Tx, sqlite_path
from deerflow.storage.schema import revision


@contextmanager
def reading() -> Iterator[Tx]:
    """A transaction that only looks."""
    with _database() as database, database.read() as tx:
        yield tx


@contextmanager
def writing() -> Iterator[Tx]:
    """A transaction that is committed when the block ends."""
    with _database() as database, database.begin() as tx:
        yield tx


@contextmanager
def _database() -> Iterator[Database]:
    url = Settings.from_env().database
    if url.startswith("sqlite") and not sqlite_path(url).exists():
        raise ConfigError(f"There is no database at {sqlite_path(url)}; DEERFLOW_DATA names the server's data folder")
    database = Database(url, pool=1)
    try:
        here, wanted = revision(database)
        if here != wanted:
            raise ConfigError(f"The schema is at {here or 'nothing'}, not {wanted}: flask --app app db upgrade")
        yield database
    finally:
        database.close()
