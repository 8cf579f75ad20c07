"""Which schema a database has, and which one this release needs."""

from pathlib import Path

import sqlalchemy as sa

from deerflow.settings import ROOT
from deerflow.storage.database import Database


def revision(database: Database) -> tuple[str | None, str]:
    """The revision a database is at (None: no schema yet), and the newest one that this checkout knows."""
    with database.read() as tx:
        known = sa.inspect(tx).has_table("alembic_version")
        here = tx.scalar(sa.text("SELECT version_num FROM alembic_version")) if known else None
    newest = max(path.name.split("_")[0] for path in Path(ROOT, "migrations", "versions").glob("[0-9]*.py"))
    return here, newest
