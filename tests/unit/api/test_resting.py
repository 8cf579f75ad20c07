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


def ask(resting: Resting, connection: Connection) -> tuple[str, bytes]:
    """A request over the connection, read to its end: its status, when the app did not answer it, and the answer."""
    told: list[str] = []
    answer = resting({"gunicorn.socket": connection}, lambda status, _headers: told.append(status))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return "".join(told), body


@pytest.fixture
def resting(monkeypatch: pytest.MonkeyPatch) -> Resting:
    monkeypatch.setattr(hub, "_A_WHILE", 0.05)
    return Resting(app)


def test_one_that_rests_is_closed_after_a_while(resting: Resting) -> None:
    connection = Connection()
    ask(resting, connection)
    gevent.sleep(0.1)
    assert connection.is_read, "as long as the process is to go on"
    resting.end()
    gevent.sleep(0.01)
    assert not connection.is_read


def test_one_that_was_used_just_now_carries_one_more_request(resting: Resting) -> None:
    connection = Connection()
    ask(resting, connection)
    resting.end()
    assert ask(resting, connection) == ("", b"answered")
    assert connection.is_read
    gevent.sleep(0.1)
    assert not connection.is_read


def test_a_request_that_comes_in_that_very_moment_is_not_taken_for_whole(resting: Resting) -> None:
    """Its body could lack what was still to come, and would be taken for an empty one."""
    connection = Connection()
    ask(resting, connection)
    resting.end()
    gevent.sleep(0.1)
    status, body = ask(resting, connection)
    assert status.startswith("503")
    assert b"stopping" in body
