"""What a graph finds in its ``configurable`` and metadata that no client can say."""

from typing import Any

from deerflow.api.mounts import Mount
from deerflow.domain.assistants import system_assistant_id
from tests.conformance.conftest import Wire, by_mount
from tests.live import ADMIN, Live

NAMES = ("run_id", "thread_id", "graph_id", "assistant_id", "user_id")


def told(wire: Wire, mount: Mount, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"assistant_id": "echo", "input": {}, **fields}
    path = f"{mount.prefix}/threads/{wire.thread}/runs/wait"
    found: dict[str, Any] = wire.http.post(path, json=body, headers=headers).json()["told"]
    return found


@by_mount
def test_ids_and_caller(live: Live, wire: Wire, mount: Mount) -> None:
    """scenario 43: the server's, whatever the client says in config and metadata."""
    claims = dict.fromkeys((*NAMES, "langgraph_auth_user_id", "langgraph_request_id"), "somebody's")
    found = told(wire, mount, config={"configurable": claims, "metadata": claims}, metadata=claims)
    run = wire.http.get(f"/threads/{wire.thread}/runs").json()[0]
    ids = [run["run_id"], wire.thread, "echo", str(system_assistant_id("echo")), live.user_id]
    for place in ("configurable", "metadata"):
        assert [found[place][name] for name in NAMES] == ids
        assert "somebody's" not in found[place].values()
    user = found["configurable"]["langgraph_auth_user"]
    about = [found["configurable"][f"langgraph_auth_{name}"] for name in ("user_id", "permissions")]
    if live.api_key is None:
        assert (user, *about) == (None, "", [])
    else:
        assert (user["identity"], user["email"]) == (live.user_id, ADMIN[0])
        assert about == [live.user_id, user["permissions"]]
        assert "runs:create" in user["permissions"]


@by_mount
def test_name_of_the_request(wire: Wire, mount: Mount) -> None:
    found = told(wire, mount, headers={"X-Request-Id": "req-7", "X-Other": "1", "Authorization": "Bearer x"})
    assert found["configurable"]["langgraph_request_id"] == "req-7"
    assert not {"x-other", "authorization", "x-request-id"} & found["configurable"].keys()
