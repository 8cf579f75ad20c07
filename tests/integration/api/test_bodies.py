"""What arrives in bodies, queries and headers may be anything; the answer is never a 500."""

from io import BytesIO
from urllib.parse import quote

import orjson
import pytest
from flask.testing import FlaskClient

from tests.integration.api.conftest import detail

POSTS = [
    "/threads",
    "/threads/{thread}/runs",
    "/threads/{thread}/runs/stream",
    "/threads/{thread}/runs/wait",
    "/assistants/search",
]
UNREADABLE = [
    b"{",
    b"nonsense",
    b'{"metadata": {"a": \x00}}',
    b"\x00",
    b'{"metadata": {"a": "\xff\xfe"}}',
    b"\xff\xfe{\x00}\x00",
    b'{"metadata": {"a": NaN}}',
    b'{"metadata": {"a": "\\ud800"}}',
    b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"metadata": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
]
NOT_OBJECTS = [b"[]", b"null", b"5", b'"text"', b"true", b"[[1]]"]


@pytest.mark.parametrize("body", UNREADABLE + NOT_OBJECTS, ids=range(len(UNREADABLE + NOT_OBJECTS)))
def test_unreadable_body(web: FlaskClient, thread: str, body: bytes) -> None:
    """A body that is no JSON object, or nests beyond reason, is refused."""
    for path in POSTS:
        url = path.format(thread=thread)
        detail(web.post(url, data=body, content_type="application/json"), 422)


@pytest.mark.parametrize("arrived", [b"", b'{"metadata": {}}'])
def test_a_body_that_ends_early_is_not_taken_for_whole(web: FlaskClient, arrived: bytes) -> None:
    """As when a connection ends, also if what has come can be read: nothing is made of it, and it can be sent again."""
    before = web.post("/threads/count", json={}).get_json()
    connection = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "99"}
    answer = web.post("/threads", input_stream=BytesIO(arrived), environ_overrides=connection)
    assert "ended early" in detail(answer, 503)
    assert answer.headers["Retry-After"]
    assert web.post("/threads/count", json={}).get_json() == before


def test_content_type_does_not_matter(web: FlaskClient) -> None:
    """A body is read as JSON, whatever it is called."""
    answer = web.post("/threads", data=b'{"metadata": {"a": 1}}', content_type="text/plain")
    assert answer.get_json()["metadata"] == {"a": 1}


def test_deep_but_reasonable(web: FlaskClient) -> None:
    """What is accepted can be shown again."""
    deep: object = 1
    for _ in range(90):
        deep = [deep]
    thread = web.post("/threads", json={"metadata": {"deep": deep}}).get_json()
    assert web.get(f"/threads/{thread['thread_id']}").get_json()["metadata"] == {"deep": deep}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("\0", "\ufffd"),
        (r"spelled \u0000", r"spelled \u0000"),
        ("é漢😀 \u2028 \x7f", "é漢😀 \u2028 \x7f"),
    ],
)
def test_characters(web: FlaskClient, sent: str, kept: str) -> None:
    """Every character comes back, but NUL, which Postgres cannot store, as U+FFFD on both databases."""
    thread = web.post("/threads", json={"metadata": {f"key {sent}": [{"value": sent}]}}).get_json()
    assert thread["metadata"] == {f"key {kept}": [{"value": kept}]}
    run = web.post(f"/threads/{thread['thread_id']}/runs", json={"assistant_id": "chat", "input": {"a": sent}})
    assert run.get_json()["kwargs"]["input"] == {"a": kept}


def test_nul_in_an_assistants_name(web: FlaskClient, thread: str) -> None:
    """A name that no graph can have is refused, and searching for it finds nothing."""
    detail(web.post(f"/threads/{thread}/runs", json={"assistant_id": "a\0b"}), 422)
    assert web.post("/assistants/search", json={"name": "a\0b"}).get_json() == []
    assert web.post("/assistants/search", json={"graph_id": "a\0b"}).get_json() == []


@pytest.mark.parametrize("value", [1, -1, 2**53, 2**63, 2**64 - 1, 2**64, 10**400, 1.5, 1e308])
def test_numbers(web: FlaskClient, value: float) -> None:
    """Numbers come back as JSON can carry them, or are refused; neither database stumbles."""
    body = b'{"metadata": {"n": %s}}' % (str(value).encode())
    answer = web.post("/threads", data=body)
    if answer.status_code == 200:
        assert answer.get_json()["metadata"]["n"] == value
    else:
        detail(answer, 422)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=--1",
        "limit=1.5",
        "limit=",
        "limit=x",
        "limit=1001",
        "limit=" + "9" * 5_000,
        "limit=" + quote("٣"),
        "limit=" + quote("²"),
        "limit=%00",
        "offset=-1",
        "offset=" + "9" * 30,
        "offset=" + str(2**63),
        "select=nope",
        "select=run_id&select=nope",
        "select=" + quote('["run_id","nope"]'),
        "select=" + quote('["run_id"'),
        "select=" + quote("[[[]]]"),
    ],
)
def test_wrong_query(web: FlaskClient, thread: str, query: str) -> None:
    """A query value that is not of its kind is refused by name."""
    told = detail(web.get(f"/threads/{thread}/runs?{query}"), 422)
    assert query.partition("=")[0] in told


@pytest.mark.parametrize("status", ["nope", "%00", "%FF", "PENDING"])
def test_unknown_status(web: FlaskClient, thread: str, status: str) -> None:
    """No run has a status that does not exist."""
    assert web.post(f"/threads/{thread}/runs", json={"assistant_id": "chat"}).status_code == 200
    assert web.get(f"/threads/{thread}/runs?status={status}").get_json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "x"},
        {"offset": -1},
        {"offset": 2**63},
        {"metadata": []},
        {"name": 5},
    ],
)
def test_wrong_search(web: FlaskClient, body: dict[str, object]) -> None:
    """The same for searches."""
    assert next(iter(body)) in detail(web.post("/assistants/search", data=orjson.dumps(body)), 422)
