"""Agents: whom one sees, what their page tells, and how one makes, changes, sets back and deletes them."""

import re
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from langgraph.store.memory import InMemoryStore

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.assistants import Assistant, AssistantSpec, system_assistant_id
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Principal, Role
from deerflow.errors import Unavailable
from deerflow.graphs.registry import Graphs
from deerflow.settings import Settings
from deerflow.storage import assistants
from tests.factories import LOCAL_USER, make_app, make_key, make_run, make_user
from tests.graphs import agentic
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.stranger import principal_for
from tests.integration.web.conftest import Person

FORM = {"graph_id": "steps", "name": "Stepper", "description": "", "config": "", "context": "", "metadata": ""}


@pytest.fixture
def bell(settings: Settings) -> AnsweringBell:
    """A state worker with one graph of the project's."""
    savers = SimpleNamespace(store=lambda _owner: InMemoryStore())
    return AnsweringBell(settings.redis_url, None, graphs=Graphs({"steps": agentic.graph}, {}), savers=savers)


def make_agent(backend: Backend, caller: Principal, **said: Any) -> Assistant:
    with backend.db.begin() as tx:
        return assistants.create(tx, caller, new_id(), AssistantSpec(**{"graph_id": "steps", "name": "Mine", **said}))


def agent(backend: Backend, caller: Principal, assistant_id: UUID) -> Assistant:
    with backend.db.read() as tx:
        return assistants.get(tx, caller, assistant_id)


def place(assistant: Assistant | UUID) -> str:
    return f"/console/agents/{assistant if isinstance(assistant, UUID) else assistant.assistant_id}"


def test_ones_own_and_the_servers_are_listed(reader: Person, backend: Backend, caller: Principal) -> None:
    mine = make_agent(backend, caller, name="Aa mine <b>", description="Does it")
    make_agent(backend, principal_for(make_user(backend, "bob@example.com")), name="Aa Bob's")
    page = reader.open("/console/agents").text
    assert "Aa mine &lt;b&gt;" in page
    assert "Does it" in page
    assert f'/console/threads/new?agent={mine.assistant_id}"' in page
    assert "chat" in page
    assert "Bob" not in page
    assert "Aa mine" in reader.open("/console/agents?q=MINE").text
    assert "chat" not in reader.told()
    assert "No agent has this name" in reader.open("/console/agents?q=nothing-like-it").text
    assert reader.open("/console/agents?page=2").text.count('class="card agent"') >= 1


def test_the_page_draws_the_graph_and_tells_it_as_a_list(reader: Person, backend: Backend, caller: Principal) -> None:
    backend.presence.renew("state-1", ("state",))
    page = reader.open(place(make_agent(backend, caller, name="Adder", description="Adds"))).text
    assert page.count('class="node') == 4
    assert len(re.findall(r'class="edge conditional"', page)) == 2
    told = reader.told()
    for way in ("__start__ → agent", "agent → __end__ (at times) , tools (at times)", "tools → agent"):
        assert way in told
    assert "What it takes" in told
    assert "messages needed" in told
    assert not re.search(r"<script(?![^>]* src=)|\sstyle=", page)


def test_a_graph_that_is_too_large_to_draw_is_told(
    reader: Person, backend: Backend, caller: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.presence.renew("one", ("state",))
    monkeypatch.setattr("deerflow.web.drawing._MOST", 2)
    page = reader.open(place(make_agent(backend, caller)))
    assert page.status_code == 200
    assert "This graph is too large to be drawn." in reader.told()
    assert "What it takes" in reader.told(), "its schemas are there"


@pytest.mark.parametrize("there", [True, False])
def test_without_a_state_worker_the_page_tells_what_the_row_knows(
    reader: Person,
    backend: Backend,
    bell: AnsweringBell,
    caller: Principal,
    monkeypatch: pytest.MonkeyPatch,
    *,
    there: bool,
) -> None:
    """One that is not there is not asked; one that does not answer hinders nothing else."""
    asked = []

    def nobody_answers(*_question: object, **_options: object) -> None:
        asked.append(1)
        raise Unavailable("No state worker answers")

    monkeypatch.setattr(bell, "ask", nobody_answers)
    if there:
        backend.presence.renew("state-1", ("state",))
    made = make_agent(backend, caller, context={"colour": "red"})
    page = reader.open(place(made))
    assert page.status_code == 200
    assert "not available now" in reader.told()
    assert len(asked) == (1 if there else 0)
    assert "{&#34;colour&#34;: &#34;red&#34;}" in page.text
    assert '<svg viewBox="0 0 ' not in page.text.replace('viewBox="0 0 20 20"', "")


def test_a_graph_that_cannot_be_made_is_told(reader: Person, backend: Backend, caller: Principal) -> None:
    backend.presence.renew("state-1", ("state",))
    reader.open(place(make_agent(backend, caller, graph_id="faulty")))
    assert "not available now" in reader.told()


def test_an_agent_is_made_changed_and_set_back(reader: Person, backend: Backend, caller: Principal) -> None:
    reader.open("/console/agents/new?graph=steps")
    context, metadata = '{"colour": "red"}', '{"team": "a"}'
    led = reader.send("/console/agents/new", **{**FORM, "context": context, "metadata": metadata})
    path = led.headers["Location"].partition("?")[0]
    assert "The agent is made" in reader.open(led.headers["Location"]).text
    made = agent(backend, caller, UUID(path.rpartition("/")[2]))
    assert (made.owner, made.name, made.context, made.metadata) == (
        caller.user_id, "Stepper", {"colour": "red"}, {"team": "a"},
    )  # fmt: skip
    assert made.config == {"configurable": {"colour": "red"}}
    shown = reader.open(f"{path}/edit").text
    assert "&#34;colour&#34;: &#34;red&#34;" in shown
    unchanged = {**FORM, "context": context, "config": '{"configurable": {"colour": "red"}}', "metadata": metadata}
    led = reader.send(f"{path}/edit", **{**unchanged, "name": "Walker", "description": "two\r\nlines"})
    assert led.headers["Location"] == f"{path}?done=changed"
    changed = agent(backend, caller, made.assistant_id)
    assert (changed.version, changed.name, changed.description) == (2, "Walker", "two\nlines")
    assert (changed.config, changed.context) == (made.config, made.context)
    reader.open(path)
    assert '<span class="gone">- Stepper' in reader.page.text
    assert '<span class="new">+ Walker' in reader.page.text
    reader.send(f"{path}/version", version="1")
    assert (back := agent(backend, caller, made.assistant_id)).name == "Stepper"
    assert back.version == 1
    for odd, status in (("3", 404), ("0", 404), ("x", 422), ("", 422), ("9" * 30, 422), ("\u0661", 422)):
        reader.open(path)
        assert reader.send(f"{path}/version", version=odd).status_code == status, odd


MISTAKES = [
    ({"name": " "}, "name", "Give it a name."),
    ({"config": "{no"}, "config", "look at line 1, column 2"),
    ({"config": "[1]"}, "config", "must be a JSON object"),
    ({"context": '"a"'}, "context", "must be a JSON object"),
    ({"metadata": "[" * 200 + "]" * 200}, "metadata", "nests too deep"),
    ({"config": '{"recursion_limit": 0}'}, "config", "config.recursion_limit: must be a whole number from 1"),
    ({"config": '{"configurable": {"a": 1}}', "context": '{"b": 2}'}, "context", "not in both"),
    ({"graph_id": "no-such"}, "graph_id", "Not a valid choice"),
]


def test_what_is_wrong_is_told_at_its_field(reader: Person) -> None:
    """And nothing that was typed is lost."""
    for typed, field, told in MISTAKES:
        reader.open("/console/agents/new")
        page = reader.send("/console/agents/new", **{**FORM, "description": "kept", **typed})
        assert page.status_code == 200
        beside = re.search(rf'id="{field}-told">([^<]*)<', page.text)
        assert beside is not None, typed
        assert told in beside[1]
        assert "kept" in page.text


def test_an_empty_config_is_told_to_change_nothing(reader: Person, backend: Backend, caller: Principal) -> None:
    made = make_agent(backend, caller, config={"tags": ["a"]})
    reader.open(f"{place(made)}/edit")
    assert "changes nothing" in reader.send(f"{place(made)}/edit", **{**FORM, "config": "{}"}).text
    assert agent(backend, caller, made.assistant_id).version == 1


CONFIGS: list[Any] = [
    {}, {"tags": ["a"]}, {"tags": "a"}, {"tags": [1]}, {"metadata": {"a": 1}}, {"metadata": []},
    {"metadata": {"owner": "x", "b": 2}}, {"configurable": {"a": 1, "thread_id": "x", "checkpoint_id": "y"}},
    {"configurable": {"owner": "x"}}, {"configurable": 1}, {"recursion_limit": 5}, {"recursion_limit": "5"},
    {"recursion_limit": True}, {"recursion_limit": 0}, {"max_concurrency": 2}, {"max_concurrency": 1.5},
    {"run_name": "a"}, {"run_name": 1}, {"unknown": 1}, {"tags": None, "run_name": "b"},
]  # fmt: skip


def test_a_config_is_what_the_api_takes(reader: Person, backend: Backend, ada: User, caller: Principal) -> None:
    """The page and the API refuse the same, and store the same."""
    client = reader.browser.client.application.test_client()
    key = make_key(backend, ada)
    for config in CONFIGS:
        body = {"graph_id": "steps", "name": "Stepper", "config": config}
        by_api = client.post("/assistants", json=body, headers={"x-api-key": key})
        reader.open("/console/agents/new")
        led = reader.send("/console/agents/new", **{**FORM, "config": orjson.dumps(config).decode()})
        assert (by_api.status_code, led.status_code) in {(200, 303), (422, 200)}, config
        if led.status_code == 303:
            made = agent(backend, caller, UUID(led.headers["Location"].partition("?")[0].rpartition("/")[2]))
            stored = agent(backend, caller, UUID(by_api.get_json()["assistant_id"]))
            assert (made.config, made.context) == (stored.config, stored.context), config


def test_an_agent_is_deleted_with_its_threads_when_asked(reader: Person, backend: Backend, caller: Principal) -> None:
    for and_threads, status in (("", 200), ("1", 404)):
        made = make_agent(backend, caller)
        run = make_run(backend, caller, assistant=str(made.assistant_id))
        reader.open(place(made))
        assert (
            reader.send(f"{place(made)}/delete", threads=and_threads).headers["Location"].startswith("/console/agents")
        )
        assert reader.open(place(made)).status_code == 404
        assert reader.open(f"/console/approvals/{run.thread_id}").status_code == status


def test_the_servers_own_are_for_administrators(reader: Person, backend: Backend) -> None:
    """Others see them, and no button that would be refused; an administrator changes them, and nobody deletes them."""
    system = system_assistant_id("steps")
    page = reader.open(place(system)).text
    assert f"{place(system)}/edit" not in page
    assert "delete" not in page
    reader.open("/console/agents/new")
    for act in ("edit", "delete"):
        assert reader.send(f"{place(system)}/{act}", **{**FORM, "name": "x"}).status_code == 403
        reader.open("/console/agents/new")
    chief = Person(reader.browser.client.application).sign_in(make_user(backend, "chief@example.com", role=Role.ADMIN))
    chief.open(f"{place(system)}/edit")
    assert chief.send(f"{place(system)}/edit", **{**FORM, "name": "Better steps"}).status_code == 303
    assert "Better steps" in reader.open(place(system)).text
    chief.open("/console/agents/new")
    assert chief.send(f"{place(system)}/delete").status_code == 403


def test_a_strangers_agent_is_not_there(reader: Person, backend: Backend) -> None:
    bob = principal_for(make_user(backend, "bob@example.com"))
    made = make_agent(backend, bob, name="Bob's")
    for path in ("", "/edit"):
        assert reader.open(place(made) + path).status_code == 404
    for act in ("edit", "version", "delete"):
        reader.open("/console/agents/new")
        assert reader.send(f"{place(made)}/{act}", **FORM, version="1").status_code == 404
    assert agent(backend, bob, made.assistant_id) == made


def test_without_accounts(settings: Settings, backend: Backend) -> None:
    client = make_app(settings, backend).test_client()
    led = client.post("/console/agents/new", data=FORM)
    assert led.status_code == 303
    path = led.headers["Location"].partition("?")[0]
    assert client.post(f"{path}/edit", data={**FORM, "name": "Walker"}).status_code == 303
    assert "Walker" in client.get(path).text
    assert agent(backend, LOCAL_USER, UUID(path.rpartition("/")[2])).version == 2
