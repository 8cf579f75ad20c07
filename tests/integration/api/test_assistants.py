"""Assistants: made, changed version by version, and deleted; alike on both databases."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.domain.assistants import AssistantSpec, system_assistant_id
from deerflow.domain.principal import PERMISSIONS, RUN, Principal
from deerflow.domain.words import RunStatus
from deerflow.errors import Conflict, Forbidden
from deerflow.runtime.boot import boot
from deerflow.storage import assistants, models
from tests.conftest import SilentBell
from tests.factories import (
    LOCAL_USER,
    OWNER,
    STRANGER,
    at_once,
    claim_run,
    finish_run,
    make_run,
    make_thread,
    row_of,
    submit,
)
from tests.factories import make_spec as make_run_spec
from tests.integration.api.conftest import by_mount, detail

COLOURS = {"colour": "red"}


def make(web: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = web.post("/assistants", json={"graph_id": "echo", **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


def patch(web: FlaskClient, assistant: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = web.patch(f"/assistants/{assistant['assistant_id']}", json=fields)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.get_json()
    return changed


def versions(web: FlaskClient, assistant: dict[str, Any], **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.post(f"/assistants/{assistant['assistant_id']}/versions", json=asked).get_json()
    return found


def content(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("graph_id", "config", "context", "metadata", "name", "description")}


# Creation


@by_mount
def test_it_is_what_was_said_of_it(web: FlaskClient, mount: Mount) -> None:
    said = {
        "graph_id": "echo", "assistant_id": str(uuid4()), "name": "n", "description": "d", "metadata": {"m": 1},
        "config": {"tags": ["t"], "recursion_limit": 5, "configurable": COLOURS},
    }  # fmt: skip
    made = web.post(f"{mount.prefix}/assistants", json=said).get_json()
    assert made == {
        **said, "context": COLOURS, "version": 1, "created_at": made["created_at"], "updated_at": made["updated_at"],
    }  # fmt: skip
    assert web.get(f"{mount.prefix}/assistants/{made['assistant_id']}").get_json() == made
    shown = {name: each for name, each in made.items() if name != "updated_at"}
    assert versions(web, made) == [shown]


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(("config", "context", "metadata", "name", "description"))])
def test_nothing_said_is_filled_in(web: FlaskClient, nothing: dict[str, Any]) -> None:
    made = make(web, **nothing, assistant_id=None, if_exists=None, unknown=1)
    assert content(made) == {
        "graph_id": "echo", "name": "Untitled", "description": None, "config": {}, "context": {}, "metadata": {},
    }  # fmt: skip


def test_a_context_is_the_configurable_as_well(web: FlaskClient) -> None:
    """But for names that are the server's to fill: there it is the client's word no more."""
    made = make(web, context={**COLOURS, "user_id": "eve", "thread_id": "t"})
    assert made["context"] == {**COLOURS, "user_id": "eve", "thread_id": "t"}
    assert made["config"] == {"configurable": COLOURS}


def test_where_a_run_starts_is_not_an_assistants_to_say(web: FlaskClient) -> None:
    asked = {"configurable": {"checkpoint_id": str(uuid4()), "checkpoint_ns": "x", **COLOURS}}
    assert make(web, config=asked)["config"] == {"configurable": COLOURS}


def test_both_at_once_contradict_each_other(web: FlaskClient) -> None:
    both = {"config": {"configurable": {"a": 1}}, "context": {"a": 1}}
    assert "context" in detail(web.post("/assistants", json={"graph_id": "echo", **both}), 400)
    assert "context" in detail(web.patch(f"/assistants/{make(web)['assistant_id']}", json=both), 400)


def test_only_graphs_that_are_there(backend: Backend, web: FlaskClient) -> None:
    told = detail(web.post("/assistants", json={"graph_id": "nope"}), 404)
    assert told == f"Graph 'nope' not found. Expected one of: {sorted(backend.project.graphs)}"
    made = make(web)
    assert detail(web.patch(f"/assistants/{made['assistant_id']}", json={"graph_id": "nope"}), 404) == told
    assert web.get(f"/assistants/{made['assistant_id']}").get_json() == made


BAD = [
        {}, {"graph_id": None}, {"graph_id": 1}, {"graph_id": "echo", "assistant_id": "x"},
        {"graph_id": "echo", "assistant_id": uuid4().hex}, {"graph_id": "echo", "if_exists": "maybe"},
        {"graph_id": "echo", "config": []}, {"graph_id": "echo", "config": {"recursion_limit": 0}},
        {"graph_id": "echo", "metadata": "m"}, {"graph_id": "echo", "name": 1}, {"graph_id": "echo", "context": 1},
]  # fmt: skip


def test_bad_bodies_are_refused(web: FlaskClient) -> None:
    for body in BAD:
        detail(web.post("/assistants", json=body), 422)
    assert web.post("/assistants/count", json={"name": "untitled"}).get_json() == 0


def test_an_id_is_had_once(web: FlaskClient, backend: Backend) -> None:
    made = make(web, name="first")
    again = {"graph_id": "echo", "assistant_id": made["assistant_id"], "name": "second"}
    assert detail(web.post("/assistants", json=again), 409) == f"Assistant {made['assistant_id']} already exists"
    assert web.post("/assistants", json={**again, "if_exists": "do_nothing"}).get_json() == made
    system = str(system_assistant_id("echo"))
    assert make(web, assistant_id=system, if_exists="do_nothing")["name"] == "echo"
    with backend.db.begin() as tx:
        theirs = assistants.create(tx, STRANGER, uuid4(), AssistantSpec(graph_id="echo"))
    for if_exists in ("raise", "do_nothing"):
        taken = {**again, "assistant_id": str(theirs.assistant_id), "if_exists": if_exists}
        assert detail(web.post("/assistants", json=taken), 409) == f"Assistant {theirs.assistant_id} already exists"


def test_of_two_at_once_one_has_the_id(backend: Backend) -> None:
    assistant_id = uuid4()

    def create() -> str:
        try:
            with backend.db.begin() as tx:
                assistants.create(tx, OWNER, assistant_id, AssistantSpec(graph_id="echo"))
        except Conflict:
            return "taken"
        return "made"

    assert sorted(at_once(*[create] * 4)) == ["made", "taken", "taken", "taken"]


def test_the_same_request_again_makes_nothing_more(web: FlaskClient) -> None:
    key = {"Idempotency-Key": "a-key"}
    one, two = (web.post("/assistants", json={"graph_id": "echo"}, headers=key) for _ in range(2))
    assert one.get_json() == two.get_json()
    assert two.headers["Idempotent-Replayed"] == "true"
    assert web.post("/assistants/count", json={"name": "untitled"}).get_json() == 1
    assert web.delete(f"/assistants/{one.get_json()['assistant_id']}").status_code == 204
    assert web.post("/assistants", json={"graph_id": "echo"}, headers=key).get_json() == one.get_json()
    detail(web.post("/assistants", json={"graph_id": "steps"}, headers=key), 409)


# Changes


def test_each_change_is_a_version(web: FlaskClient) -> None:
    """What is not named stays, metadata are merged, and so is nothing else."""
    made = make(web, config={"tags": ["t"], "configurable": COLOURS}, metadata={"m": 1}, description="d")
    steps: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": "n", "metadata": {"k": {"x": 1}}}, {"name": "n", "metadata": {"m": 1, "k": {"x": 1}}}),
        ({"metadata": {"k": {"y": 2}}}, {"metadata": {"m": 1, "k": {"y": 2}}}),
        ({}, {}),
        ({"name": None, "config": None, "metadata": None, "description": None, "graph_id": None}, {}),
        ({"graph_id": "steps"}, {"graph_id": "steps"}),
        (
            {"context": {"colour": "blue"}},
            {"context": {"colour": "blue"}, "config": {"tags": ["t"], "configurable": {"colour": "blue"}}},
        ),
        ({"config": {"tags": ["x"]}}, {"config": {"tags": ["x"]}}),
        ({"config": {}}, {}),
        ({"context": {}}, {"context": {}}),
        ({"config": {"configurable": COLOURS}}, {"config": {"configurable": COLOURS}, "context": COLOURS}),
    ]
    expected = content(made)
    for number, (said, changes) in enumerate(steps, start=2):
        changed, expected = patch(web, made, **said), expected | changes
        assert (content(changed), changed["version"]) == (expected, number)
        assert changed["created_at"] == made["created_at"]
        assert changed["updated_at"] > made["updated_at"]
        assert web.get(f"/assistants/{made['assistant_id']}").get_json() == changed
    assert [each["version"] for each in versions(web, made, limit=99)] == list(range(len(steps) + 1, 0, -1))


def test_changes_at_once_are_all_kept(web: FlaskClient, backend: Backend) -> None:
    made = make(web)

    def change(number: int) -> Callable[[], int]:
        def act() -> int:
            with backend.db.begin() as tx:
                said = AssistantSpec(metadata={f"k{number}": number})
                return assistants.change(tx, LOCAL_USER, UUID(made["assistant_id"]), said).version

        return act

    assert sorted(at_once(*[change(number) for number in range(4)])) == [2, 3, 4, 5]
    now = web.get(f"/assistants/{made['assistant_id']}").get_json()
    assert (now["version"], now["metadata"]) == (5, {f"k{number}": number for number in range(4)})
    assert len(versions(web, made)) == 5


def test_an_earlier_version_can_be_in_force_again(web: FlaskClient) -> None:
    """All of it, and the next change still gets a number that none has had."""
    made = make(web, name="one", metadata={"m": 1}, context=COLOURS)
    patch(web, made, name="two", graph_id="steps", metadata={"k": 2}, context={"colour": "blue"})
    path = f"/assistants/{made['assistant_id']}/latest"
    back = web.post(path, json={"version": 1}).get_json()
    assert (content(back), back["version"]) == (content(made), 1)
    assert web.get(f"/assistants/{made['assistant_id']}").get_json() == back
    changed = patch(web, made, metadata={"after": 1})
    assert (changed["version"], changed["name"], changed["metadata"]) == (3, "one", {"m": 1, "after": 1})
    told = detail(web.post(path, json={"version": 99}), 404)
    assert told == f"Version 99 not found for assistant {made['assistant_id']}"
    for wrong in ({}, {"version": None}, {"version": "1"}, {"version": 0}, {"version": 2**31}, {"version": True}):
        detail(web.post(path, json=wrong), 422)
    assert web.get(f"/assistants/{made['assistant_id']}").get_json() == changed


def test_versions_come_in_pages_and_by_metadata(web: FlaskClient) -> None:
    made = make(web, metadata={"a": 1})
    for number in range(3):
        patch(web, made, metadata={"n": number})
    page = web.post(f"/assistants/{made['assistant_id']}/versions", json={"limit": 2, "offset": 1})
    assert [each["version"] for each in page.get_json()] == [3, 2]
    assert page.headers["X-Pagination-Next"] == "3"
    assert [each["version"] for each in versions(web, made, metadata={"n": 1, "a": 1})] == [3]
    assert versions(web, made, metadata={"n": 9}) == []
    assert all("updated_at" not in each for each in versions(web, made))
    for wrong in ({"limit": 0}, {"limit": 1_001}, {"offset": -1}, {"metadata": 1}):
        detail(web.post(f"/assistants/{made['assistant_id']}/versions", json=wrong), 422)


def test_what_is_not_there(web: FlaskClient, backend: Backend) -> None:
    with backend.db.begin() as tx:
        theirs = assistants.create(tx, STRANGER, uuid4(), AssistantSpec(graph_id="echo"))
    for assistant_id in (theirs.assistant_id, uuid4()):
        path, told = f"/assistants/{assistant_id}", f"Assistant with ID {assistant_id} not found"
        assert detail(web.get(path), 404) == told
        assert detail(web.patch(path, json={"name": "x"}), 404) == told
        assert detail(web.delete(path), 404) == told
        assert detail(web.post(f"{path}/versions", json={}), 404) == told
        assert detail(web.post(f"{path}/latest", json={"version": 1}), 404) == told
    with backend.db.read() as tx:
        assert assistants.get(tx, STRANGER, theirs.assistant_id) == theirs
    assert detail(web.get("/assistants/echo"), 422) == "Invalid assistant ID: must be a UUID"


# The system's


def test_administrators_change_the_systems(web: FlaskClient, backend: Backend) -> None:
    """Others are told what to do instead. What was made of one survives a start; its graph stays what it is."""
    key = system_assistant_id("chat")
    shown = web.get(f"/assistants/{key}").get_json()
    said = AssistantSpec(description="of the admin")
    for caller in (Principal("user", RUN), Principal("user", RUN, filters={"assistants": {}})):
        with backend.db.begin() as tx, pytest.raises(Forbidden, match="only administrators"):
            assistants.change(tx, caller, key, said)
        with backend.db.begin() as tx, pytest.raises(Forbidden, match="only administrators"):
            assistants.put_in_force(tx, caller, key, 1)
    with backend.db.begin() as tx:
        changed = assistants.change(tx, Principal("admin", PERMISSIONS), key, said)
    assert (changed.version, changed.description, changed.owner) == (2, "of the admin", "system")
    boot(backend)
    now = web.get(f"/assistants/{key}").get_json()
    assert (now["version"], now["description"], now["metadata"]) == (2, "of the admin", {"created_by": "system"})
    assert "stays" in detail(web.patch(f"/assistants/{key}", json={"graph_id": "echo"}), 400)
    back = web.post(f"/assistants/{key}/latest", json={"version": 1}).get_json()
    assert content(back) == content(shown)


def test_a_start_tells_the_first_version_what_langgraph_json_says(web: FlaskClient, backend: Backend) -> None:
    """Also to versions whose assistant was made by a release that knew none."""
    key = system_assistant_id("chat")
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.assistants).values(description="old"))
        tx.execute(sa.delete(models.assistant_versions))
    boot(backend)
    shown = web.get(f"/assistants/{key}").get_json()
    assert shown["description"] == "Streams a fixed answer word by word."
    assert [content(each) for each in versions(web, shown)] == [content(shown)]


def test_nobody_deletes_the_systems(web: FlaskClient, backend: Backend) -> None:
    key = system_assistant_id("steps")
    run = make_run(backend, LOCAL_USER)
    assert "langgraph.json" in detail(web.delete(f"/assistants/{key}?delete_threads=true"), 403)
    assert web.get(f"/assistants/{key}").status_code == web.get(f"/threads/{run.thread_id}").status_code == 200


# Runs and deletion


def run_of(backend: Backend, assistant: dict[str, Any], **fields: Any) -> Any:
    return make_run(backend, LOCAL_USER, assistant=assistant["assistant_id"], **fields)


def test_a_run_has_the_version_in_force_when_it_was_created(web: FlaskClient, backend: Backend) -> None:
    made = make(web, config={"configurable": {"n": 1}, "tags": ["t"]}, metadata={"m": 1})
    first = run_of(backend, made)
    patch(web, made, graph_id="steps", context={"n": 2}, metadata={"m": 2})
    second = run_of(backend, made)
    web.post(f"/assistants/{made['assistant_id']}/latest", json={"version": 1})
    third = run_of(backend, made, config={"configurable": {"own": 3}})
    told = [
        (run.graph_id, run.kwargs["config"]["configurable"].get("n"), run.kwargs["context"].get("n"), run.metadata["m"])
        for run in (row_of(backend, run) for run in (first, second, third))
    ]
    assert told == [("echo", 1, 1, 1), ("steps", 2, 2, 2), ("echo", 1, 1, 1)]
    assert row_of(backend, third).kwargs["config"]["configurable"]["own"] == 3
    assert row_of(backend, third).kwargs["config"]["tags"] == ["t"]


def test_its_context_has_to_fit_its_graph(web: FlaskClient, backend: Backend, thread: str) -> None:
    """As a system assistant's has to: the schema is its graph's, whoever made the assistant and whenever."""
    made = make(web, context={"colour": 3})
    with backend.db.begin() as tx:
        schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
        assistants.tell_context_schema(tx, "echo", schema)
    path, body = f"/threads/{thread}/runs", {"assistant_id": made["assistant_id"]}
    assert "context.colour" in detail(web.post(path, json=body), 422)
    assert web.post(path, json={**body, "context": COLOURS}).status_code == 200


def test_a_run_outlives_its_assistant(web: FlaskClient, backend: Backend) -> None:
    made = make(web)
    run = run_of(backend, made)
    claimed = claim_run(backend, run)
    assert claimed is not None
    assert web.delete(f"/assistants/{made['assistant_id']}").status_code == 204
    assert finish_run(backend, claimed)
    shown = web.get(f"/threads/{run.thread_id}/runs/{run.run_id}").get_json()
    assert (shown["status"], shown["assistant_id"]) == (RunStatus.SUCCESS, made["assistant_id"])
    again = web.post(f"/threads/{run.thread_id}/runs", json={"assistant_id": made["assistant_id"]})
    assert detail(again, 404) == "Thread or assistant not found."
    with backend.db.read() as tx:
        of_it = models.assistant_versions.c.assistant_id == UUID(made["assistant_id"])
        assert tx.execute(sa.select(models.assistant_versions).where(of_it)).all() == []


@pytest.mark.parametrize("query", ["", "?delete_threads=false", "?delete_threads=True"])
def test_threads_go_with_it_when_asked(web: FlaskClient, backend: Backend, bell: SilentBell, query: str) -> None:
    """The caller's, with their runs; those of other assistants and of other users stay."""
    made, other = make(web), make(web)
    runs = [run_of(backend, made) for _ in range(3)]
    running = claim_run(backend, runs[0])
    assert running is not None
    stays = [run_of(backend, other).thread_id, make_thread(backend, LOCAL_USER).thread_id]
    theirs = make_thread(backend, OWNER, assistant_id=made["assistant_id"])
    assert web.delete(f"/assistants/{made['assistant_id']}{query}").status_code == 204
    assert web.get(f"/assistants/{made['assistant_id']}").status_code == 404
    goes = query.lower().endswith("true")
    statuses = {web.get(f"/threads/{run.thread_id}").status_code for run in runs}
    assert statuses == ({404} if goes else {200})
    assert bell.revoked == ([running.task_id] if goes else [])
    assert {web.get(f"/threads/{thread}").status_code for thread in stays} == {200}
    with backend.db.read() as tx:
        assert tx.scalar(sa.select(models.threads.c.owner).where(models.threads.c.thread_id == theirs.thread_id))


def test_more_threads_than_are_removed_at_a_time(web: FlaskClient, backend: Backend, monkeypatch: Any) -> None:
    monkeypatch.setattr("deerflow.runtime.remove._AT_A_TIME", 2)
    made = make(web)
    for _ in range(5):
        run_of(backend, made)
    assert web.delete(f"/assistants/{made['assistant_id']}?delete_threads=1").status_code == 204
    assert web.post("/threads/count", json={}).get_json() == 0


def test_a_run_is_admitted_or_finds_no_assistant(web: FlaskClient, backend: Backend) -> None:
    """A run that comes while its assistant is deleted is whole or not there."""
    made = make(web)
    threads = [make_thread(backend, LOCAL_USER).thread_id for _ in range(3)]

    def start(thread_id: UUID) -> Callable[[], object]:
        def act() -> object:
            try:
                return submit(backend, LOCAL_USER, make_run_spec(made["assistant_id"]), thread_id=thread_id)
            except Exception as error:  # noqa: BLE001 - what it is, is looked at below
                return str(error)

        return act

    def delete() -> object:
        with backend.db.begin() as tx:
            assistants.delete(tx, LOCAL_USER, UUID(made["assistant_id"]))
        return None

    *told, _ = at_once(*map(start, threads), delete)
    for thread_id, answer in zip(threads, told, strict=True):
        busy = web.get(f"/threads/{thread_id}").get_json()["status"] == "busy"
        assert busy is not isinstance(answer, str)
        assert busy or answer == "Thread or assistant not found."
