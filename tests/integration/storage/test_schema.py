"""The migrated schema is the models' schema, on both databases."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from deerflow.cli.db import alembic_config, upgrade
from deerflow.domain.runs import Run
from deerflow.domain.threads import Thread
from deerflow.settings import Settings
from deerflow.storage import models
from deerflow.storage.database import Database
from tests.factories import make_key, make_running, make_thread, make_user

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
    """All that the catalogue says about those of our tables that are there."""
    seen, ours = sa.inspect(engine), list(models.metadata.tables)
    columns, keys = seen.get_multi_columns(filter_names=ours), seen.get_multi_pk_constraint(filter_names=ours)
    foreign = seen.get_multi_foreign_keys(filter_names=ours)
    unique = seen.get_multi_unique_constraints(filter_names=ours)
    indexes = index_definitions(engine)
    return {
        table[1]: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"], c["default"]) for c in columns[table]},
            "key": keys[table],
            "foreign keys": foreign[table],
            "unique": sorted(unique[table], key=str),
            "indexes": indexes.get(table[1]),
        }
        for table in columns
    }


def index_definitions(engine):
    """Each table's indexes as the database itself spells them, WHERE included."""
    query = (
        "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        if engine.dialect.name == "sqlite"
        else "SELECT tablename, indexname, indexdef FROM pg_indexes"
    )
    found = {}
    with engine.connect() as connection:
        for table, name, sql in connection.execute(sa.text(query)):
            found.setdefault(table, {})[name] = " ".join(sql.split())
    return found


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
    definition = index_definitions(backend.db.engine)["runs"][ONE_RUNNING]
    assert "UNIQUE INDEX" in definition
    assert "(thread_id) WHERE" in definition
    assert "status = 'running'" in definition


def test_a_second_upgrade_finds_nothing_to_do(backend, settings):
    before = described(backend.db.engine)
    upgrade(settings)
    assert described(backend.db.engine) == before


def test_each_migration_can_be_taken_back_and_made_again(backend):
    """Each time the schema is the one of before; what the first one knew is kept, and at last nothing is left."""
    thread = make_thread(backend, plan="pro")
    make_running(backend, thread_id=thread.thread_id, webhook="https://example.org/hook")
    make_key(backend, make_user(backend, "ada@example.com"))
    config, engine = alembic_config(backend.db.url), backend.db.engine
    head, *older = (each.revision for each in ScriptDirectory.from_config(config).walk_revisions())
    rows, schemas = first_rows(engine), {head: described(engine)}
    for revision in older:
        command.downgrade(config, revision)
        schemas[revision] = described(engine)
    for revision in (*reversed(older[:-1]), head):
        command.upgrade(config, revision)
        assert described(engine) == schemas[revision]
    assert first_rows(engine) == rows
    command.downgrade(config, "base")
    assert described(engine) == {}
    command.upgrade(config, "head")
    assert described(engine) == schemas[head]


def first_rows(engine):
    """What the tables that were there first hold, with what the database itself makes of it."""
    seen = ["SELECT thread_id, metadata FROM threads", "SELECT run_id, kwargs FROM runs", "SELECT name FROM assistants"]
    seen += ["SELECT name, value, owner, thread_id FROM thread_labels"]
    with engine.connect() as connection:
        return [sorted(map(str, connection.execute(sa.text(query)))) for query in seen]


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
