"""Bell: rings workers through Celery. A message carries a run's id and nothing else; losing one costs time only.

Tasks are sent by name, so the process that rings needs none of their code. Sending is tried once, for a second:
a bell that cannot ring is logged and the clock rings later.
"""

import logging
from typing import Any
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError

from deerflow.domain.runs import Run, task_id
from deerflow.errors import Unavailable

log = logging.getLogger(__name__)

EXECUTE = "tasks.runs.execute_run"
ANSWER = "tasks.state.answer"
SWEEP = "tasks.clock.sweep"
RUNS, STATE, CLOCK = "runs", "state", "clock"


class Bell:
    """Sends the messages that wake workers."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, run: Run) -> bool:
        """Wake a worker for this ring of a run; False when the message could not be sent."""
        return self._send(EXECUTE, [str(run.run_id)], queue=RUNS, task_id=task_id(run.run_id, run.rings))

    def revoke(self, task: str) -> None:
        """Cancel a running task wherever it is. Lost, the worker's next lease beat sees the mark on the row."""
        try:
            self._app.control.revoke(task, terminate=True)
        except (OperationalError, OSError) as error:
            log.warning("A cancel could not be rung; the lease beat will see its mark", extra={"reason": error})

    def ask(self, question_id: UUID, question: dict[str, Any], *, expires_seconds: float) -> None:
        """Hand a question to a state worker; Unavailable when it cannot be sent."""
        if not self._send(ANSWER, [question], queue=STATE, task_id=str(question_id), expires=expires_seconds):
            raise Unavailable("The message broker does not answer")

    def sweep(self) -> None:
        """Let the clock sweep now instead of at its next turn."""
        self._send(SWEEP, [], queue=CLOCK, expires=60)

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue; Unavailable when the broker does not answer."""
        try:
            with self._app.connection_for_read() as connection:
                return int(connection.default_channel._size(queue))
        except (OperationalError, OSError) as error:
            raise Unavailable("The message broker does not answer") from error

    def ping(self) -> None:
        """Raise Unavailable when the broker does not answer."""
        self.waiting(RUNS)

    def close(self) -> None:
        """Give the broker connections back."""
        self._app.close()

    def _send(self, name: str, args: list[Any], **options: Any) -> bool:
        try:
            self._app.send_task(name, args=args, retry=False, ignore_result=True, **options)
        except (OperationalError, OSError) as error:
            log.warning("A ring could not be sent", extra={"task": name, "reason": error})
            return False
        return True


def sender(broker: str) -> Celery:
    """A Celery app that only sends; it holds no tasks."""
    app = Celery("deerflow-bell", broker=broker, set_as_current=False)
    app.conf.update(CONNECTION)
    return app


CONNECTION: dict[str, Any] = {
    "broker_transport_options": {
        "socket_connect_timeout": 1.0,  # a request must not hang on a broker that is away
        "socket_timeout": 5.0,
        "retry_on_timeout": False,
    },
    "broker_connection_retry_on_startup": True,
    "broker_pool_limit": 10,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,  # a Celery result would be a second truth beside the row
    "task_send_sent_event": False,
}
"""What senders and workers agree on about the broker."""
