"""Small limits on a whole server: told in one sentence, and the next request is served."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import SETUPS, wait_for
from tests.live import Live


@pytest.mark.parametrize("live", SETUPS)
def test_small_limits(live: str, make_server: Callable[..., Live]) -> None:
    server = make_server(
        live, DEERFLOW_BODY_BYTES="2000", DEERFLOW_RECURSION_LIMIT="3", DEERFLOW_THREAD_QUEUE_LIMIT="1"
    )
    server.start()
    for length in (False, True):
        large_bodies_are_refused(server, length=length)
    http = server.http()
    thread = http.post("/threads", json={}).json()["thread_id"]
    body = {"assistant_id": "steps", "input": {}}

    refused = http.post(f"/threads/{thread}/runs", json=body | {"config": {"recursion_limit": 4}})
    assert refused.status_code == 422
    assert "recursion_limit" in refused.json()["detail"]
    ended = http.post(f"/threads/{thread}/runs/wait", json=body).json()
    assert ended["__error__"]["error"] == "GraphRecursionError", "the graph has four steps, and nobody asked for more"

    patient = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}}
    run = http.post(f"/threads/{thread}/runs", json=patient).json()
    path = f"/threads/{thread}/runs"
    wait_for(lambda: http.get(f"{path}/{run['run_id']}").json()["status"] == "running", what="the start")
    assert http.post(path, json=body).status_code == 200
    full = http.post(f"{path}/stream", json=body)
    assert (full.status_code, full.headers["Retry-After"]) == (429, "1")
    assert "thread_queue_limit" in full.json()["detail"]


def large_bodies_are_refused(server: Live, *, length: bool) -> None:
    """With a length or in chunks; on a connection that is then used again."""
    large = json.dumps({"metadata": {"a": "x" * 300_000}}).encode()
    small = b"{}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for body, status in ((large, 413), (small, 200), (large, 413)):
            connection.sendall(b"".join(request(server, body, length=length)))
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                received += connection.recv(65_536)
            assert int(received.split()[1]) == status, received
            if status == 413:
                assert b"2000 bytes" in received
                assert b"body_bytes" in received


def request(server: Live, body: bytes, *, length: bool) -> Iterator[bytes]:
    if length:
        yield server.head("POST", "/threads", Content_Length=str(len(body))) + body
        return
    yield server.head("POST", "/threads", Transfer_Encoding="chunked")
    for start in range(0, len(body), 10_000):
        chunk = body[start : start + 10_000]
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"
