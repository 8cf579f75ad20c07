"""What people are told of a run's or thread's status: one word each, the same on every page.

The API's words stay what LangGraph's clients know. Some say too much at once for a person (``interrupted``: a stop or
a question), some too little (``error``: the graph's, or a lost worker).
"""

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from deerflow.domain.words import RunStatus, ThreadStatus


@dataclass(frozen=True)
class Word:
    """A status as a page shows it. ``key`` stands in addresses; ``kind`` is how its badge looks (``_parts.html``)."""

    key: str
    text: Any
    kind: str


WAITING = Word("waiting", _("Waiting"), "idle")
RUNNING = Word("running", _("Running"), "live")
NEEDS_APPROVAL = Word("needs-approval", _("Needs approval"), "ask")
DONE = Word("done", _("Done"), "good")
FAILED = Word("failed", _("Failed"), "fail")
TIMED_OUT = Word("timed-out", _("Timed out"), "fail")
WORKER_LOST = Word("worker-lost", _("Worker lost"), "fail")
STOPPED = Word("stopped", _("Stopped"), "stop")
IDLE = Word("idle", _("Idle"), "idle")

RUN_WORDS = (WAITING, RUNNING, NEEDS_APPROVAL, DONE, FAILED, TIMED_OUT, WORKER_LOST, STOPPED)
THREAD_WORDS = (RUNNING, NEEDS_APPROVAL, STOPPED, FAILED, IDLE)

_OF_RUN = {
    RunStatus.PENDING: WAITING,
    RunStatus.RUNNING: RUNNING,
    RunStatus.SUCCESS: DONE,
    RunStatus.ERROR: FAILED,
    RunStatus.TIMEOUT: TIMED_OUT,
    RunStatus.INTERRUPTED: STOPPED,
}
_OF_THREAD = {
    ThreadStatus.BUSY: RUNNING,
    ThreadStatus.INTERRUPTED: STOPPED,
    ThreadStatus.ERROR: FAILED,
    ThreadStatus.IDLE: IDLE,
}


def run_word(status: RunStatus, *, error_name: str | None = None, asks: bool = False) -> Word:
    """The word for a run. *error_name*: its error's ``error``. *asks*: what it has asked is still open."""
    if status is RunStatus.SUCCESS and asks:
        return NEEDS_APPROVAL
    if status is RunStatus.ERROR and error_name == "WorkerLost":
        return WORKER_LOST
    return _OF_RUN[status]


def thread_word(status: ThreadStatus, *, asks: bool, is_running: bool) -> Word:
    """The word for a thread.

    asks: it has interrupts that nobody has answered. is_running: a worker has one of its runs.
    """
    if status is ThreadStatus.BUSY and not is_running:
        return WAITING
    return NEEDS_APPROVAL if status is ThreadStatus.INTERRUPTED and asks else _OF_THREAD[status]
