"""Assistants, the server's own routes, and what every route has in common."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from deerflow.domain.assistants import system_assistant_id
from tests.conftest import SilentBell
from tests.integration.api.conftest import by_mount, detail
from tests.integration.api.test_threads import TIME

GRAPHS = {"chat", "steps", "faulty", "asking", "nested", "stubborn", "odd"}


@by_mount
def test_assistants_of_the_graphs(web: FlaskClient, mount: Mount) -> None:
    """Every graph has an assistant of its own, under the id that every LangGraph server derives."""
    answer = web.post(f"{mount.prefix}/assistants/search", json={"limit": 100})
    found = {assistant["name"]: assistant for assistant in answer.get_json()}
    assert set(found) >= GRAPHS
    chat = found["chat"]
    assert TIME.fullmatch(chat.pop("created_at"))
    assert TIME.fullmatch(chat.pop("updated_at"))
    assert chat == {
        "assistant_id": str(system_assistant_id("chat")),
        "graph_id": "chat",
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "name": "chat",
        "version": 1,
        "description": "Streams a fixed answer word by word.",
    }


def test_assistant_ids_are_everybodys(web: FlaskClient) -> None:
    """The id of graph ``agent`` is the one of the reference server."""
    assert str(system_assistant_id("agent")) == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
    wanted = system_assistant_id("chat")
    assert web.get(f"/assistants/{wanted}").get_json()["graph_id"] == "chat"


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"graph_id": "chat"}, {"chat"}),
        ({"graph_id": "nope"}, set()),
        ({"name": "UBBO"}, {"stubborn"}),
        ({"name": "%"}, set()),
        ({"metadata": {"created_by": "system"}, "graph_id": "odd"}, {"odd"}),
        ({"metadata": {"created_by": "me"}}, set()),
        ({"metadata": None, "graph_id": None, "name": "chat"}, {"chat"}),
    ],
)
def test_search(web: FlaskClient, body: dict[str, object], names: set[str]) -> None:
    """Assistants are found by graph, by a part of their name, by metadata."""
    assert {a["name"] for a in web.post("/assistants/search", json=body).get_json()} == names


def test_pages(web: FlaskClient) -> None:
    """The headers say where the next page begins; the pages are the whole."""
    seen: list[str] = []
    offset: str | None = "0"
    while offset is not None:
        page = web.post("/assistants/search", json={"limit": 3, "offset": int(offset)})
        seen += [a["name"] for a in page.get_json()]
        offset = page.headers.get("X-Pagination-Next")
        more = 1 if offset is not None else 0
        assert page.headers["X-Pagination-Total"] == str(len(seen) + more)
    assert set(seen) >= GRAPHS
    assert len(seen) == len(set(seen))


@by_mount
def test_missing_assistant(web: FlaskClient, mount: Mount) -> None:
    """An unknown id is not found; a name is no id."""
    detail(web.get(f"{mount.prefix}/assistants/{uuid4()}"), 404)
    told = detail(web.get(f"{mount.prefix}/assistants/chat"), 422)
    assert told == "Invalid assistant ID: must be a UUID"


@by_mount
def test_ok(web: FlaskClient, bell: SilentBell, mount: Mount) -> None:
    """``/ok`` tells of this process, and on request of what it needs."""
    path = f"{mount.prefix}/ok"
    assert web.get(path).get_json() == {"ok": True, "services": {}}
    assert web.get(f"{path}?check_db=1").status_code == 200
    bell.broken = True
    assert web.get(path).status_code == 200
    detail(web.get(f"{path}?check_db=1"), 503)


@by_mount
def test_info(web: FlaskClient, mount: Mount) -> None:
    """``/info`` has the keys that clients read."""
    info = web.get(f"{mount.prefix}/info").get_json()
    assert set(info) == {"version", "langgraph_py_version", "flags", "host"}
    assert info["flags"]["assistants"] is True


@pytest.mark.parametrize("path", ["/nope", "/threads/", "/threads/x/nope", "/nothing", "/%00", "/..%2f"])
@by_mount
def test_unknown_route(web: FlaskClient, mount: Mount, path: str) -> None:
    """Where there is no route the answer is a plain 404, never a redirect or a page."""
    assert detail(web.get(mount.prefix + path), 404) == "Not Found"


@by_mount
def test_wrong_method(web: FlaskClient, thread: str, mount: Mount) -> None:
    """A wrong method is told the right ones."""
    answer = web.patch(f"{mount.prefix}/threads/{thread}/runs")
    assert detail(answer, 405) == "Method Not Allowed"
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@by_mount
def test_head_and_options(web: FlaskClient, thread: str, mount: Mount) -> None:
    """HEAD and OPTIONS work on every route and have no body."""
    run = web.post(f"/threads/{thread}/runs", json={"assistant_id": "chat"}).get_json()
    web.post(f"/threads/{thread}/runs/{run['run_id']}/cancel")
    root = f"{mount.prefix}/threads/{thread}"
    for path in ("", "/state", "/runs", *(f"/runs/{run['run_id']}{end}" for end in ("", "/join", "/stream"))):
        if path != "/state":  # that one would ask a worker
            head = web.head(root + path)
            assert (head.status_code, head.data) == (200, b"")
        options = web.options(root + path)
        assert (options.status_code, options.data) == (200, b"")
        assert "GET" in options.headers["Allow"]
    assert web.options(f"{mount.prefix}/threads").headers["Allow"]
