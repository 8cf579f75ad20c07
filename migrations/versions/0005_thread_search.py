"""what threads and runs are found by: indexes, and labels that triggers keep

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_threads_owner_thread_id": ["owner", "thread_id"],
    "ix_threads_owner_updated_at": ["owner", "updated_at", "thread_id"],
    "ix_threads_owner_created_at": ["owner", "created_at", "thread_id"],
    "ix_threads_owner_state_updated_at": ["owner", "state_updated_at", "thread_id"],
    "ix_threads_owner_status": ["owner", "status", "updated_at", "thread_id"],
    "ix_threads_updated_at": ["updated_at", "thread_id"],
    "ix_threads_created_at": ["created_at", "thread_id"],
}

# What deerflow/storage/labels.py asks for is written here: both say the same.
_SQLITE_LABELS = """
    SELECT DISTINCT substr(key, 1, 100), CASE type
        WHEN 'text' THEN 's' || substr(atom, 1, 100)
        WHEN 'true' THEN 't'
        WHEN 'false' THEN 'f'
        WHEN 'null' THEN '-'
        ELSE CASE
            WHEN abs(atom) >= 1e15 THEN 'g'
            WHEN atom = CAST(atom AS INTEGER) THEN 'n' || CAST(atom AS INTEGER)
            ELSE 'r' || CAST(atom AS INTEGER)
        END
    END, {row}.owner, {row}.thread_id
    FROM json_each({row}.metadata) WHERE type NOT IN ('object', 'array')
"""
_SQLITE_ADD = "INSERT OR IGNORE INTO thread_labels (name, value, owner, thread_id)" + _SQLITE_LABELS
_SQLITE_REMOVE = "DELETE FROM thread_labels WHERE (name, value, owner, thread_id) IN ({})".format(  # noqa: S608
    _SQLITE_LABELS.format(row="OLD")
)
_SQLITE_TRIGGERS = (
    f"CREATE TRIGGER threads_labelled AFTER INSERT ON threads BEGIN {_SQLITE_ADD.format(row='NEW')}; END",
    f"""
    CREATE TRIGGER threads_relabelled AFTER UPDATE OF metadata, owner ON threads
    WHEN OLD.metadata IS NOT NEW.metadata OR OLD.owner <> NEW.owner
    BEGIN {_SQLITE_REMOVE}; {_SQLITE_ADD.format(row="NEW")}; END
    """,
    f"CREATE TRIGGER threads_unlabelled AFTER DELETE ON threads BEGIN {_SQLITE_REMOVE}; END",
)

_POSTGRES_LABELS = """
CREATE FUNCTION labels_of_thread(metadata jsonb) RETURNS TABLE (name text, value text) LANGUAGE sql IMMUTABLE AS $$
    SELECT DISTINCT left(key, 100), CASE jsonb_typeof(value)
        WHEN 'string' THEN 's' || left(value #>> '{}', 100)
        WHEN 'boolean' THEN left(value::text, 1)
        WHEN 'null' THEN '-'
        ELSE CASE
            WHEN abs(value::numeric) >= 1e15 THEN 'g'
            WHEN value::numeric = trunc(value::numeric) THEN 'n' || trunc(value::numeric)::bigint
            ELSE 'r' || trunc(value::numeric)::bigint
        END
    END
    FROM jsonb_each(metadata) WHERE jsonb_typeof(value) NOT IN ('object', 'array')
$$
"""
_POSTGRES_TRIGGERS = (
    """
CREATE FUNCTION label_thread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM thread_labels l USING labels_of_thread(OLD.metadata) had
            WHERE l.name = had.name AND l.value = had.value AND l.owner = OLD.owner AND l.thread_id = OLD.thread_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO thread_labels (name, value, owner, thread_id)
            SELECT has.name, has.value, NEW.owner, NEW.thread_id FROM labels_of_thread(NEW.metadata) has
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
""",
    "CREATE TRIGGER threads_labelled AFTER INSERT OR DELETE ON threads FOR EACH ROW EXECUTE FUNCTION label_thread()",
    """
CREATE TRIGGER threads_relabelled AFTER UPDATE OF metadata, owner ON threads FOR EACH ROW
    WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata OR OLD.owner <> NEW.owner) EXECUTE FUNCTION label_thread()
""",
)


def upgrade() -> None:
    op.create_table(
        "thread_labels",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "owner", "thread_id", name=op.f("pk_thread_labels")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE_ADD.replace("{row}.", "threads.").replace("FROM json", "FROM threads, json"))
        for trigger in _SQLITE_TRIGGERS:
            op.execute(trigger)
    else:
        op.execute(_POSTGRES_LABELS)
        op.execute(
            "INSERT INTO thread_labels (name, value, owner, thread_id) "
            "SELECT l.name, l.value, t.owner, t.thread_id FROM threads t, labels_of_thread(t.metadata) l"
        )
        for statement in _POSTGRES_TRIGGERS:
            op.execute(statement)
    for name, columns in _INDEXES.items():
        op.create_index(name, "threads", columns)
    op.drop_index("ix_threads_owner", "threads")
    op.create_index("ix_runs_thread_status", "runs", ["thread_id", "status", "ordinal"])


def downgrade() -> None:
    op.drop_index("ix_runs_thread_status", "runs")
    op.create_index("ix_threads_owner", "threads", ["owner"])
    for name in _INDEXES:
        op.drop_index(name, "threads")
    for trigger in ("threads_labelled", "threads_relabelled", "threads_unlabelled"):
        on = "" if op.get_bind().dialect.name == "sqlite" else " ON threads"
        op.execute(f"DROP TRIGGER IF EXISTS {trigger}{on}")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION label_thread")
        op.execute("DROP FUNCTION labels_of_thread")
    op.drop_table("thread_labels")
