"""Alembic's environment: the URL comes from Settings, or from whoever called the command."""

from alembic import context

from deerflow.settings import Settings
from deerflow.storage.database import Database
from deerflow.storage.models import metadata

url = context.config.attributes.get("url") or Settings.from_env().database
database = Database(url, pool=1)

with database.begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=database.is_sqlite,
        transactional_ddl=True,
        compare_type=True,
    )
    if not database.is_sqlite:
        # Two releases at once: the second waits and then finds nothing to do.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7217432100)")
    context.run_migrations()
database.close()
