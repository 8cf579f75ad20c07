"""versions of assistants, crons, and threads that expire

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from deerflow.storage.types import Json, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assistant_versions",
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("graph_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("config", Json, nullable=False),
        sa.Column("context", Json, nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.assistant_id"],
            name=op.f("fk_assistant_versions_assistant_id_assistants"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("assistant_id", "version", name=op.f("pk_assistant_versions")),
    )
    op.create_index(op.f("ix_assistant_versions_owner"), "assistant_versions", ["owner"], unique=False)
    columns = "assistant_id, version, owner, graph_id, name, description, config, context, metadata"
    op.execute(
        f"INSERT INTO assistant_versions ({columns}, created_at) SELECT {columns}, updated_at FROM assistants"  # noqa: S608
    )
    op.create_table(
        "crons",
        sa.Column("cron_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("assistant_id", sa.Uuid(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=True),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("payload", Json, nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("user", Json, nullable=True),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("end_time", UtcTime, nullable=True),
        sa.Column("next_run_at", UtcTime, nullable=True),
        sa.Column("on_run_completed", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["assistant_id"],
            ["assistants.assistant_id"],
            name=op.f("fk_crons_assistant_id_assistants"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["thread_id"], ["threads.thread_id"], name=op.f("fk_crons_thread_id_threads"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cron_id", name=op.f("pk_crons")),
    )
    op.create_index(op.f("ix_crons_owner"), "crons", ["owner"], unique=False)
    op.create_index(op.f("ix_crons_assistant_id"), "crons", ["assistant_id"], unique=False)
    op.create_index(op.f("ix_crons_thread_id"), "crons", ["thread_id"], unique=False)
    due = sa.text("enabled AND next_run_at IS NOT NULL")
    op.create_index("ix_crons_due", "crons", ["next_run_at"], sqlite_where=due, postgresql_where=due)
    op.add_column("threads", sa.Column("ttl_minutes", sa.Float(), nullable=True))
    op.add_column("threads", sa.Column("ttl_strategy", sa.Text(), nullable=True))
    op.add_column("threads", sa.Column("expires_at", UtcTime, nullable=True))
    expiring = sa.text("expires_at IS NOT NULL")
    op.create_index("ix_threads_expires", "threads", ["expires_at"], sqlite_where=expiring, postgresql_where=expiring)


def downgrade() -> None:
    op.drop_index("ix_threads_expires", "threads")
    for column in ("expires_at", "ttl_strategy", "ttl_minutes"):
        op.drop_column("threads", column)
    op.drop_table("crons")
    op.drop_table("assistant_versions")
