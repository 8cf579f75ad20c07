"""A whole server about itself: who is ready, what has ended, and what a page of another origin may read."""

from http.client import HTTPConnection

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import wait_for
from tests.live import Live


def ended(live: Live) -> float:
    families = text_string_to_metric_families(httpx.get(f"{live.url}/metrics").text)
    samples = (each for family in families for each in family.samples)
    return sum(each.value for each in samples if each.labels.get("status") == "success" and "ended" in each.name)


def test_all_parts_are_ready(live: Live) -> None:
    answer = httpx.get(f"{live.url}/ready")
    assert (answer.status_code, set(answer.json()["parts"].values())) == (200, {"ok"})


def test_a_run_is_counted_when_it_has_ended(live: Live) -> None:
    before = ended(live)
    body = {"assistant_id": "steps", "input": {}}
    httpx.post(f"{live.url}/runs/wait", json=body, headers=live.headers, timeout=30).raise_for_status()
    wait_for(lambda: ended(live) > before, what="the run to be counted")


def test_streams_and_preflights_name_who_may_read(live: Live) -> None:
    """As a React app on another port asks; its browser reads where the run is from the stream's headers."""
    origin = {"Origin": "http://localhost:3000"}
    asked = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = httpx.request("OPTIONS", f"{live.url}/runs/stream", headers=asked)
    assert preflight.status_code == 204
    body = {"assistant_id": "steps", "input": {}}
    with httpx.stream("POST", f"{live.url}/runs/stream", json=body, headers={**live.headers, **origin}) as answer:
        told = answer.headers
        answer.read()
    assert preflight.headers["Access-Control-Allow-Origin"] == told["Access-Control-Allow-Origin"]
    assert told["Access-Control-Allow-Origin"] in {"*", "http://localhost:3000"}
    assert "Content-Location" in told["Access-Control-Expose-Headers"]


def test_a_connection_outlives_the_pause_after_which_clients_use_none_again(live: Live) -> None:
    """Node.js uses a connection again that has rested up to 4 s; what it sends over one that closes is lost."""
    connection = HTTPConnection("127.0.0.1", live.port, timeout=10)
    connection.request("GET", "/live")
    assert connection.getresponse().read()
    kept = connection.sock
    kept.settimeout(4.5)
    with pytest.raises(TimeoutError):
        kept.recv(1)
    kept.settimeout(10)
    connection.request("GET", "/live")
    assert (connection.getresponse().status, connection.sock) == (200, kept)
    connection.close()
