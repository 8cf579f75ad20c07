"""A client that goes is noticed, whoever meets the end of its connection first."""

import socket
from collections.abc import Iterator

import gevent
import pytest

from deerflow.api.hub import ClientWatch


class Request:
    """The server's side of a request under way, and what its client's leaving does."""

    def __init__(self) -> None:
        self.client, self._server = socket.socketpair()
        self.watch = ClientWatch({"gunicorn.socket": self._server})
        self.done: list[str] = []
        self.watch.when_gone(lambda: self.done.append("done"))

    def write(self) -> None:
        self._server.send(b"an event")

    def turn(self) -> list[str]:
        """What is done by the time when the hub has looked at everything, and has begun what that asks for."""
        for _ in range(3):
            gevent.sleep(0.01)
        return self.done

    def close(self) -> None:
        self.watch.stop()
        self.client.close()
        self._server.close()


@pytest.fixture
def request_under_way() -> Iterator[Request]:
    made = Request()
    yield made
    made.close()


def test_who_goes_is_noticed_by_the_hub(request_under_way: Request) -> None:
    assert request_under_way.turn() == []
    request_under_way.client.close()
    assert request_under_way.turn() == ["done"]
    request_under_way.watch.stop()
    assert request_under_way.turn() == ["done"]


def test_who_goes_is_noticed_when_a_write_fails_before_the_hub_looks(request_under_way: Request) -> None:
    """scenario 37: the failed write ends the response, and that ends the watch."""
    request_under_way.client.close()
    with pytest.raises(BrokenPipeError):
        request_under_way.write()
    request_under_way.watch.stop()
    assert request_under_way.turn() == ["done"]


@pytest.mark.parametrize("sends", [b"", b"GET /next HTTP/1.1"])
def test_who_has_heard_everything_has_not_gone(request_under_way: Request, sends: bytes) -> None:
    """Nor when a further request comes already."""
    request_under_way.client.sendall(sends)
    assert request_under_way.turn() == []
    request_under_way.watch.stop()
    request_under_way.client.close()
    assert request_under_way.turn() == []


def test_a_word_of_the_hub_about_what_was_read_already_ends_no_watch(request_under_way: Request) -> None:
    request_under_way.watch._look()
    request_under_way.client.close()
    assert request_under_way.turn() == ["done"]
