"""Logging set-up; puts run_id, thread_id and request_id on each record.

The ids live in context variables set at the two doors (request, task) and cleared there.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated, only replaced
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_CHATTY = (
    "celery.app.trace",
    "celery.beat",
    "celery.worker.strategy",
    "celery.worker.consumer",
    "celery.worker.request",  # a line for each tick that nobody has taken in time
    "alembic",
    "httpx",  # an INFO line of its own would show the queries of webhooks
    "httpcore",
)


class _Formatter(logging.Formatter):
    """One line a record: time, level, logger, phrase, then ``key=value`` facts."""

    def format(self, record: logging.LogRecord) -> str:
        """Append the context's ids and the record's extra facts."""
        text = super().format(record)
        facts = {k: v for k, v in vars(record).items() if k not in _STANDARD and not k.startswith("_")}
        if record.name.startswith("deerflow") or record.name.startswith("tasks"):
            facts = {**_context.get(), **facts}
        else:
            facts = dict(_context.get())
        if not facts:
            return text
        head, sep, stack = text.partition("\n")
        return f"{head} " + " ".join(f"{k}={v}" for k, v in facts.items()) + sep + stack


def setup(level: str) -> None:
    """Send all records of this process to standard error, one line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in _CHATTY:  # a line for each tick of the clock and each migration helps nobody
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


@contextmanager
def bound(**ids: object) -> Iterator[None]:
    """Put these ids on every record logged inside the block."""
    token = _context.set({**_context.get(), **{k: str(v) for k, v in ids.items()}})
    try:
        yield
    finally:
        _context.reset(token)
