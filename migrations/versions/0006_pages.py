"""what the pages show and keep: titles of threads, keys and lost workers of runs, colours of users

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from deerflow.storage.types import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WAITING = sa.text("status = 'interrupted' AND interrupts IS NOT NULL AND interrupts <> '{}'")


def upgrade() -> None:
    op.add_column("users", sa.Column("scheme", sa.Text))
    op.add_column("threads", sa.Column("title", sa.Text))
    op.drop_index("ix_threads_owner_updated_at", "threads")
    op.create_index("ix_threads_owner_updated_at", "threads", ["owner", "updated_at", "thread_id", "title"])
    op.add_column("runs", sa.Column("key_id", sa.Uuid))
    op.add_column("runs", sa.Column("lost_at", UtcTime))
    op.create_index("ix_runs_owner_created_at", "runs", ["owner", "created_at", "run_id"])
    op.create_index("ix_runs_owner_status", "runs", ["owner", "status", "created_at", "run_id"])
    op.drop_index("ix_runs_owner", "runs")
    waiting = {"sqlite_where": _WAITING, "postgresql_where": _WAITING}
    op.create_index("ix_threads_waiting", "threads", ["owner", "status", "state_updated_at", "thread_id"], **waiting)


def downgrade() -> None:
    op.drop_index("ix_threads_waiting", "threads")
    op.create_index("ix_runs_owner", "runs", ["owner"])
    op.drop_index("ix_runs_owner_status", "runs")
    op.drop_index("ix_runs_owner_created_at", "runs")
    op.drop_column("runs", "lost_at")
    op.drop_column("runs", "key_id")
    op.drop_index("ix_threads_owner_updated_at", "threads")
    op.create_index("ix_threads_owner_updated_at", "threads", ["owner", "updated_at", "thread_id"])
    op.drop_column("threads", "title")
    op.drop_column("users", "scheme")
