"""What becomes of connections at rest when a process is told to stop."""

from collections.abc import Iterable
from typing import Any

import gevent
import pytest

from deerflow.api import hub
from deerflow.api.hub import Resting


class Connection:
    """A socket that knows whether it is still read from."""

    is_read = True

    def shutdown(self, _how: int) -> None:
        self.is_read = False


def app(_environ: dict[str, Any], _start: Any) -> Iterable[bytes]:
    return [b"answered"]


def ask(resting: Resting, connection: Connection) -> bytes:
    """A request over the connection, and its answer, read to its end."""
    answer: Any = resting({"gunicorn.socket": connection}, None)
    body = b"".join(answer)
    answer.close()
    return body


def until_closed(connection: Connection) -> None:
    with gevent.Timeout(20):
        while connection.is_read:
            gevent.sleep(0.01)


@pytest.fixture
def resting(monkeypatch: pytest.MonkeyPatch) -> Resting:
    monkeypatch.setattr(hub, "_A_WHILE", 0.3)
    return Resting(app)


def test_one_that_rests_is_closed_after_a_while(resting: Resting) -> None:
    connection = Connection()
    ask(resting, connection)
    gevent.sleep(0.4)
    assert connection.is_read, "as long as the process is to go on"
    resting.end()
    until_closed(connection)


def test_one_that_was_used_just_now_carries_one_more_request(resting: Resting) -> None:
    connection = Connection()
    ask(resting, connection)
    resting.end()
    assert ask(resting, connection) == b"answered"
    assert connection.is_read
    until_closed(connection)
