"""What is alike on every route: null for what was left out, answers without a body, sentences, paths."""

from collections.abc import Callable

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import PLATFORM, Mount
from tests.integration.api.conftest import by_mount, detail

FIELDS = """limit offset sort_by sort_order select metadata ids status values extract
            graph_id name assistant_id thread_id enabled"""
NOTHING = dict.fromkeys(FIELDS.split())
PAGED = ["/threads/search", "/assistants/search", "/runs/crons/search"]


def test_null_is_as_good_as_left_out(web: FlaskClient) -> None:
    """In every field of a search, those with a default included."""
    for path in [*PAGED, "/threads/count", "/assistants/count", "/runs/crons/count"]:
        asked, left_out = web.post(path, json=NOTHING), web.post(path, json={})
        assert (path, asked.status_code, asked.get_json()) == (path, 200, left_out.get_json())
    assistant_id = web.post("/assistants", json={"graph_id": "steps"}).get_json()["assistant_id"]
    versions = web.post(f"/assistants/{assistant_id}/versions", json=NOTHING).get_json()
    assert [version["version"] for version in versions] == [1]


@by_mount
def test_pages_say_where_they_go_on(web: FlaskClient, mount: Mount) -> None:
    """``Next`` is an offset, ``Total`` one more as long as there is more; on the last page it is what was told."""
    thread_id = web.post("/threads", json={}).get_json()["thread_id"]
    for _ in range(2):
        web.post("/threads", json={})
        web.post("/assistants", json={"graph_id": "steps"})
        web.post(f"/threads/{thread_id}/runs/crons", json={"assistant_id": "steps", "schedule": "0 0 1 1 *"})
    for path in PAGED:
        first = web.post(f"{mount.prefix}{path}", json={"limit": 1}).headers
        assert (first["X-Pagination-Next"], first["X-Pagination-Total"]) == ("1", "2")
        past = web.post(f"{mount.prefix}{path}", json={"offset": 100_000}).headers
        assert (past.get("X-Pagination-Next"), past["X-Pagination-Total"]) == (None, "100000")


@by_mount
def test_answers_without_a_body_have_no_type(
    web: FlaskClient, create: Callable[..., TestResponse], thread: str, mount: Mount
) -> None:
    """202 and 204 are empty: nothing that a client might take for a page, or try to parse."""
    run_id = create(PLATFORM, after_seconds=60).get_json()["run_id"]
    path = f"{mount.prefix}/threads/{thread}"
    answers = [
        web.patch(path, json={"metadata": {"a": 1}}, headers={"Prefer": "return=minimal"}),
        web.post(f"{path}/runs/{run_id}/cancel"),
        web.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [204, 202, 204]
    assert {(answer.data, answer.content_type) for answer in answers} == {(b"", None)}


def test_what_is_wrong_is_said_without_our_classes(web: FlaskClient) -> None:
    """One string, whatever is wrong and however much of it."""
    said = detail(web.post("/threads", json={"thread_id": "x", "if_exists": "maybe"}), 422)
    assert said.splitlines()[0] == "thread_id: Invalid thread ID: must be a UUID"
    assert said.splitlines()[1].startswith("if_exists: ")


def test_an_assistant_without_a_name_is_untitled(web: FlaskClient) -> None:
    """Forms send an empty text for a field that nobody has filled in."""
    names = [
        web.post("/assistants", json={"graph_id": "steps", "name": name}).get_json()["name"] for name in ("", None)
    ]
    assert names == ["Untitled", "Untitled"]


THERE_IS_NOT = [
    ("PATCH", "/threads/{thread}/state", 405),
    ("PUT", "/threads/{thread}", 405),
    ("GET", "/runs", 405),
    ("GET", "/threads/{thread}/", 404),
    ("GET", "/threads/{thread}/storage", 404),
    ("GET", "/mcp", 404),
]


@by_mount
def test_what_there_is_not(web: FlaskClient, thread: str, mount: Mount) -> None:
    """A method that a path has not, and paths that are none; never 501, after which clients ask again."""
    for method, path, status in THERE_IS_NOT:
        answer = web.open(mount.prefix + path.format(thread=thread), method=method)
        assert detail(answer, status) == {404: "Not Found", 405: "Method Not Allowed"}[status]
        assert ("Allow" in answer.headers) == (status == 405)
