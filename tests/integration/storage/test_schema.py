"""The migrated schema is the models' schema, on both databases."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from deerflow.cli.db import alembic_config, upgrade
from deerflow.domain.runs import Run
from deerflow.domain.threads import Thread
from deerflow.settings import Settings
from deerflow.storage import models
from deerflow.storage.database import Database

ONE_RUNNING = "uq_runs_one_running"


@pytest.fixture
def from_models(settings, databases, tmp_path):
    """An engine on a database of the same kind, made from the models instead of by migrations."""
    if settings.database.startswith("sqlite"):
        url = f"sqlite:///{tmp_path}/models.db"
    else:
        url = Settings(database_url=databases.empty_postgres(), redis_url="redis://unused").database
    database = Database(url, pool=1)
    models.metadata.create_all(database.engine)
    yield database.engine
    database.close()


def described(engine):
    """All that the catalogue says about our tables."""
    seen = sa.inspect(engine)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)},
            "key": seen.get_pk_constraint(table),
            "foreign keys": seen.get_foreign_keys(table),
            "unique": sorted(seen.get_unique_constraints(table), key=str),
            "indexes": index_definitions(engine, table),
        }
        for table in models.metadata.tables
    }


def index_definitions(engine, table):
    """Each index as the database itself spells it, WHERE included."""
    query = (
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
        if engine.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table"
    )
    with engine.connect() as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.execute(sa.text(query), {"table": table})}


def test_migrations_and_models_make_the_same_schema(backend, from_models):
    assert described(backend.db.engine) == described(from_models)


def test_alembic_sees_nothing_left_to_migrate(backend):
    with backend.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, models.metadata) == []


def test_there_is_one_head_and_the_database_stands_at_it(backend):
    scripts = ScriptDirectory.from_config(alembic_config(backend.db.url))
    with backend.db.engine.connect() as connection:
        at = MigrationContext.configure(connection).get_current_heads()
    assert list(at) == scripts.get_heads()
    assert len(at) == 1


def test_the_index_on_running_runs_is_unique_and_partial(backend):
    """scenario 7: autogenerate does not see a missing WHERE, so the catalogue is read back"""
    definition = index_definitions(backend.db.engine, "runs")[ONE_RUNNING]
    assert "UNIQUE INDEX" in definition
    assert "(thread_id) WHERE" in definition
    assert "status = 'running'" in definition


def test_a_second_upgrade_finds_nothing_to_do(backend, settings):
    before = described(backend.db.engine)
    upgrade(settings)
    assert described(backend.db.engine) == before


@pytest.mark.parametrize(
    ("table", "record", "hidden"),
    [
        (models.runs, Run, {"progressed", "traceback"}),
        (models.threads, Thread, {"last_ordinal", "fence", "resting"}),
    ],
)
def test_columns_match_the_records_that_leave_storage(table, record, hidden):
    assert {column.name for column in table.columns} - hidden == set(record.__dataclass_fields__)


@pytest.mark.parametrize("table", ["assistants", "threads", "runs"])
def test_nothing_is_without_an_owner(table):
    """scenario 42"""
    assert models.metadata.tables[table].c.owner.nullable is False
