"""The wire's own words: the strings that clients send and read."""

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run is in its life; ``domain/runs.py`` draws the transitions."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class TtlStrategy(StrEnum):
    """What becomes of a thread on which nothing has happened for so long."""

    DELETE = "delete"
    KEEP_LATEST = "keep_latest"


class ThreadStatus(StrEnum):
    """What a thread is doing; ``interrupted`` means its head has nodes left to run."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class StreamMode(StrEnum):
    """What a run writes into its log, besides ``metadata`` and ``error``."""

    VALUES = "values"
    UPDATES = "updates"
    MESSAGES = "messages"
    MESSAGES_TUPLE = "messages-tuple"
    CUSTOM = "custom"
    DEBUG = "debug"
    TASKS = "tasks"
    CHECKPOINTS = "checkpoints"
    EVENTS = "events"


class Durability(StrEnum):
    """When a step's checkpoint is stored: before the next step, beside it, or only at the end of the run."""

    SYNC = "sync"
    ASYNC = "async"
    EXIT = "exit"


class MultitaskStrategy(StrEnum):
    """What a new run does when its thread is busy."""

    REJECT = "reject"
    ENQUEUE = "enqueue"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class OnDisconnect(StrEnum):
    """What happens to a run when the client that created it goes away."""

    CANCEL = "cancel"
    CONTINUE = "continue"


class IfNotExists(StrEnum):
    """What a run does about a thread that does not exist."""

    CREATE = "create"
    REJECT = "reject"


class OnCompletion(StrEnum):
    """What becomes of a stateless run's thread when the run has ended."""

    DELETE = "delete"
    KEEP = "keep"


class CancelAction(StrEnum):
    """What a cancel leaves behind: ``interrupt`` the run and its checkpoints, ``rollback`` nothing of either."""

    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"
