"""The schema on one page: columns, keys, indexes; no behaviour. Times are UTC on the database's clock."""

import sqlalchemy as sa

from deerflow.storage.types import Json, UtcTime, now

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

assistants = sa.Table(
    "assistants",
    metadata,
    sa.Column("assistant_id", sa.Uuid, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("graph_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("config", Json, nullable=False),
    sa.Column("context", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("context_schema", Json),  # JSON schema of its graph's context; told by a worker when it starts
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("updated_at", UtcTime, nullable=False, default=now()),
)

assistant_versions = sa.Table(
    "assistant_versions",
    metadata,
    sa.Column("assistant_id", sa.Uuid, sa.ForeignKey("assistants.assistant_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("graph_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("config", Json, nullable=False),
    sa.Column("context", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
)
"""What every assistant was, version by version; the row of the assistant is a copy of the one in force."""

threads = sa.Table(
    "threads",
    metadata,
    sa.Column("thread_id", sa.Uuid, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("resting", sa.Text, nullable=False),  # the status when no run is in flight
    sa.Column("title", sa.Text),  # what people know it by; NULL: nothing was said yet that could be one
    sa.Column("metadata", Json, nullable=False),
    sa.Column("config", Json, nullable=False),
    sa.Column("values", Json),
    sa.Column("interrupts", Json),
    sa.Column("error", Json),
    # Number of the last run; given under the row's lock, so a thread's runs are numbered without holes.
    sa.Column("last_ordinal", sa.Integer, nullable=False),
    # Token of the last claim. Starts at the creation's milliseconds, so that an id used again after a deletion
    # stands above all that its namesake's workers hold.
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("ttl_minutes", sa.Float),  # NULL: kept for ever
    sa.Column("ttl_strategy", sa.Text),
    sa.Column("expires_at", UtcTime),  # moved ahead by what happens on the thread
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("updated_at", UtcTime, nullable=False, default=now()),
    sa.Column("state_updated_at", UtcTime, nullable=False, default=now()),
)

sa.Index(
    "ix_threads_expires",
    threads.c.expires_at,
    sqlite_where=sa.text("expires_at IS NOT NULL"),
    postgresql_where=sa.text("expires_at IS NOT NULL"),
)

sa.Index("ix_threads_owner_thread_id", threads.c.owner, threads.c.thread_id)
# The title is there to be looked through without the rows, whose values may be large.
sa.Index("ix_threads_owner_updated_at", threads.c.owner, threads.c.updated_at, threads.c.thread_id, threads.c.title)
sa.Index("ix_threads_owner_created_at", threads.c.owner, threads.c.created_at, threads.c.thread_id)
sa.Index("ix_threads_owner_state_updated_at", threads.c.owner, threads.c.state_updated_at, threads.c.thread_id)
sa.Index("ix_threads_owner_status", threads.c.owner, threads.c.status, threads.c.updated_at, threads.c.thread_id)
WAITING = "status = 'interrupted' AND interrupts IS NOT NULL AND interrupts <> '{}'"
"""That a thread waits for a person. Queries say it in these words: then SQLite uses the index."""

sa.Index(
    "ix_threads_waiting",
    threads.c.owner,
    threads.c.status,  # always the same; without it SQLite would take the index that begins with both
    threads.c.state_updated_at,
    threads.c.thread_id,
    sqlite_where=sa.text(WAITING),
    postgresql_where=sa.text(WAITING),
)
# For callers whom the project's filter shows threads of any owner.
sa.Index("ix_threads_updated_at", threads.c.updated_at, threads.c.thread_id)
sa.Index("ix_threads_created_at", threads.c.created_at, threads.c.thread_id)

thread_labels = sa.Table(
    "thread_labels",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("thread_id", sa.Uuid, primary_key=True),
    sqlite_with_rowid=False,
)
"""What threads are found by; written by triggers alone: see labels.py."""

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    sa.Column("thread_id", sa.Uuid, sa.ForeignKey("threads.thread_id", ondelete="CASCADE"), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("key_id", sa.Uuid),  # the API key it was created with; NULL: by another proof, or by the clock
    sa.Column("assistant_id", sa.Uuid, nullable=False),
    sa.Column("graph_id", sa.Text, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("kwargs", Json, nullable=False),
    sa.Column("multitask_strategy", sa.Text, nullable=False),
    sa.Column("run_at", UtcTime, nullable=False, default=now()),  # not claimed before this
    sa.Column("attempt", sa.Integer, nullable=False),  # claims so far; fences row and log
    sa.Column("crashes", sa.Integer, nullable=False),  # lapsed leases without a new checkpoint
    sa.Column("progressed", sa.Boolean, nullable=False),  # a checkpoint was stored since the claim
    sa.Column("rings", sa.Integer, nullable=False),  # Celery messages so far
    sa.Column("rung_at", UtcTime),  # NULL: the last ring was not sent
    sa.Column("task_id", sa.Text),  # the Celery task of the last claim; revoked by a cancel
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", UtcTime),
    sa.Column("events_upto", sa.BigInteger, nullable=False),  # how far the log had come at the last lease beat
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("cancel_action", sa.Text),
    # What the thread's metadata said of graph and assistant before this run; NULL: the run has not changed it.
    sa.Column("thread_before", Json),
    sa.Column("error", Json),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("updated_at", UtcTime, nullable=False, default=now()),
    sa.Column("started_at", UtcTime),
    sa.Column("ended_at", UtcTime),
    sa.Column("lost_at", UtcTime),  # its worker was lost; NULL: never, or it was handed over since
    sa.Column("traceback", sa.Text),  # where in the code it failed, for administrators; NULL: nothing is kept of that
    sa.UniqueConstraint("thread_id", "ordinal"),
)

sa.Index("ix_runs_owner_created_at", runs.c.owner, runs.c.created_at, runs.c.run_id)
sa.Index("ix_runs_owner_status", runs.c.owner, runs.c.status, runs.c.created_at, runs.c.run_id)
sa.Index("ix_runs_thread_status", runs.c.thread_id, runs.c.status, runs.c.ordinal)
one_running_run = sa.Index(
    "uq_runs_one_running",
    runs.c.thread_id,
    unique=True,
    sqlite_where=sa.text("status = 'running'"),
    postgresql_where=sa.text("status = 'running'"),
)
"""At most one running run a thread, whatever the code above believes."""

sa.Index(
    "ix_runs_inflight",
    runs.c.status,
    runs.c.lease_until,
    sqlite_where=sa.text("status IN ('pending', 'running')"),
    postgresql_where=sa.text("status IN ('pending', 'running')"),
)

doomed_threads = sa.Table(
    "doomed_threads",
    metadata,
    sa.Column("thread_id", sa.Uuid, primary_key=True),
    # Checkpoint writes of the deleted thread's workers hold smaller tokens and are refused.
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("deleted_at", UtcTime, nullable=False, default=now()),
)
"""Deleted threads whose checkpoints the clock has still to remove; until then the id is not given again.

One with a time to come is reserved: its checkpoints are written first, and are removed unless its row comes in time.
"""

crons = sa.Table(
    "crons",
    metadata,
    sa.Column("cron_id", sa.Uuid, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column(
        "assistant_id",
        sa.Uuid,
        sa.ForeignKey("assistants.assistant_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    # NULL: every run gets a thread of its own.
    sa.Column("thread_id", sa.Uuid, sa.ForeignKey("threads.thread_id", ondelete="CASCADE"), index=True),
    sa.Column("schedule", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text),  # an IANA name; NULL: UTC
    sa.Column("payload", Json, nullable=False),  # what its runs are created with, as the client wrote it
    sa.Column("spec", Json, nullable=False),  # the same with every default decided
    sa.Column("user", Json),  # what graphs learn of the creator; as of a run
    sa.Column("metadata", Json, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("end_time", UtcTime),
    sa.Column("next_run_at", UtcTime),  # NULL: never again
    sa.Column("on_run_completed", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("updated_at", UtcTime, nullable=False, default=now()),
)
"""Runs that the clock creates again and again; moved ahead in the transaction that inserts the run."""

sa.Index(
    "ix_crons_due",
    crons.c.next_run_at,
    sqlite_where=sa.text("enabled AND next_run_at IS NOT NULL"),
    postgresql_where=sa.text("enabled AND next_run_at IS NOT NULL"),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("webhook_id", sa.Uuid, primary_key=True),  # the same at every try: receivers know repeats by it
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("run_id", sa.Uuid, nullable=False, index=True),  # no foreign key: the run's row may go with its thread
    sa.Column("thread_id", sa.Uuid, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),  # scheme, host and port; one that hangs must not hold up the rest
    sa.Column("payload", Json, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", UtcTime, nullable=False, default=now()),  # pushed ahead by who is about to send it
    sa.Column("delivered_at", UtcTime),
    sa.Column("dead_at", UtcTime),  # given up; the command line can replay it
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
)
"""The outbox: written in the transaction that ends a run, emptied by the clock."""

sa.Index(
    "ix_webhooks_due",
    webhooks.c.due_at,
    sqlite_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
    postgresql_where=sa.text("delivered_at IS NULL AND dead_at IS NULL"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),  # of method, path and body; another one is a conflict
    sa.Column("answer", Json, nullable=False),  # what the first request created
    sa.Column("created_at", UtcTime, nullable=False, default=now(), index=True),
)
"""What was created under which ``Idempotency-Key``; written in the transaction of the creation."""

users = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.Uuid, primary_key=True),  # as text it is the owner of all that this user makes
    sa.Column("email", sa.Text, unique=True),  # canonical; NULL until set-up is finished
    sa.Column("name", sa.Text),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("password", sa.Text),  # argon2id; NULL: nobody can sign in with one
    sa.Column("needs_setup", sa.Boolean, nullable=False),
    # A cookie that carries another one is refused. Raised by all that has to end every session.
    sa.Column("token_version", sa.Integer, nullable=False),
    sa.Column("disabled_at", UtcTime),
    sa.Column("language", sa.Text),
    sa.Column("time_zone", sa.Text),
    sa.Column("scheme", sa.Text),  # light, dark or system
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("updated_at", UtcTime, nullable=False, default=now()),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("browser", sa.Text, nullable=False),  # the User-Agent it was begun with
    sa.Column("address", sa.Text, nullable=False),  # of the last request that was noted
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("last_seen_at", UtcTime, nullable=False, default=now()),  # to the minute
    sa.Column("expires_at", UtcTime, nullable=False, index=True),
)
"""Signed-in browsers. Ended ones have no row."""

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),  # what lists show, to tell keys apart
    sa.Column("digest", sa.Text, nullable=False, unique=True),  # SHA-256 of the whole key, which is kept nowhere
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("expires_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
    sa.Column("last_used_at", UtcTime),  # to the minute
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("entry_id", sa.Uuid, primary_key=True),
    sa.Column("at", UtcTime, nullable=False, default=now(), index=True),
    sa.Column("actor", sa.Text, index=True),  # an owner; NULL: nobody was signed in
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text),  # what it was done to: an id or an e-mail
    sa.Column("address", sa.Text),  # where the request came from; NULL: the command line, or the server itself
    sa.Column("detail", Json, nullable=False),
)

adoptions = sa.Table(
    "adoptions",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("heir", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False, default=now()),
    sa.Column("finished_at", UtcTime),  # NULL: the clock has still to hand over store items and checkpoints
)
"""Owners whose things were given to somebody else; each once."""
