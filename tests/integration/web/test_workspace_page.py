"""The workspace's page as the server makes it: what the island begins with, and what there is without a script."""

import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.assistants import AssistantSpec, system_assistant_id
from deerflow.domain.ids import new_id
from deerflow.domain.principal import PERMISSIONS, Principal, Role, Scope
from deerflow.storage import assistants, models
from deerflow.web import workspace
from deerflow.web.places import STATIC
from tests.factories import make_key, make_thread, make_user
from tests.integration.identity.browsers import PASSWORD
from tests.integration.web.conftest import Person

MESSAGES = [
    {"type": "human", "content": "How are </script><script>alert(1)</script> you?"},
    {"type": "ai", "content": [{"type": "text", "text": "Well."}, {"type": "image", "data": "x"}]},
    {"type": "tool", "name": "search", "content": "found"},
]


@pytest.fixture
def signed_in(person: Person, ada: User) -> Person:  # noqa: ARG001 - it is there
    person.open("/console/login")
    person.send("/console/login", email="ada@example.com", password=PASSWORD)
    return person


def caller(user: User) -> Principal:
    return Principal(user.owner, PERMISSIONS)


def thread_of(backend: Backend, user: User, **columns: Any) -> str:
    """A thread with these columns as its last run left them."""
    thread = make_thread(backend, caller(user), graph_id="talking", **columns.pop("metadata", {}))
    if columns:
        with backend.db.begin() as tx:
            of_it = models.threads.c.thread_id == thread.thread_id
            tx.execute(sa.update(models.threads).where(of_it).values(**columns))
    return str(thread.thread_id)


def data_of(person: Person) -> dict[str, Any]:
    """What the island begins with."""
    found = re.search(r'<script type="application/json" id="page">(.*?)</script>', person.page.text, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_new_thread_is_for_the_agent_that_the_address_names(signed_in: Person) -> None:
    signed_in.open("/console/threads/new?agent=steps")
    data = data_of(signed_in)
    assert data["thread_id"] is None
    assert data["assistant_id"] == str(system_assistant_id("steps"))
    assert {"talking", "steps"} <= {each["graph_id"] for each in data["agents"]}


def test_without_a_name_it_is_for_the_first_graph(signed_in: Person, backend: Backend) -> None:
    signed_in.open("/console/threads/new")
    assert data_of(signed_in)["agents"][0]["graph_id"] == next(iter(backend.project.graphs))
    assert data_of(signed_in)["assistant_id"] == data_of(signed_in)["agents"][0]["assistant_id"]


def test_it_says_what_its_agents_are_for(signed_in: Person, ada: User, backend: Backend) -> None:
    """As they describe themselves; of a very long description the beginning."""
    long = "Plans journeys. " * 1000
    with backend.db.begin() as tx:
        assistants.create(tx, caller(ada), new_id(), AssistantSpec(graph_id="steps", name="My own", description=long))
    signed_in.open("/console/threads/new")
    told = {each["name"]: each["description"] for each in data_of(signed_in)["agents"]}
    assert told["My own"] == long[:400]
    assert told["steps"] == ""


def test_an_agent_that_there_is_none_of_is_nobody(signed_in: Person) -> None:
    for agent in ("nobody", "00000000-0000-7000-8000-000000000000", "%00", "x" * 3000):
        assert signed_in.open(f"/console/threads/new?agent={agent}").status_code == 200, agent
        assert data_of(signed_in)["assistant_id"] is None, agent


def test_ones_own_assistant_can_be_talked_to_and_nobody_elses(signed_in: Person, ada: User, backend: Backend) -> None:
    own, other = new_id(), new_id()
    with backend.db.begin() as tx:
        assistants.create(tx, caller(ada), own, AssistantSpec(graph_id="steps", name="My own"))
        assistants.create(tx, Principal("somebody", PERMISSIONS), other, AssistantSpec(graph_id="steps", name="Theirs"))
    signed_in.open(f"/console/threads/new?agent={own}")
    assert data_of(signed_in)["assistant_id"] == str(own)
    assert "My own" in {each["name"] for each in data_of(signed_in)["agents"]}
    assert str(other) not in signed_in.page.text


def test_a_thread_goes_on_with_its_agent(signed_in: Person, ada: User, backend: Backend) -> None:
    thread_id = thread_of(backend, ada, title="About deer")
    signed_in.open(f"/console/threads/{thread_id}")
    data = data_of(signed_in)
    assert data["thread_id"] == thread_id
    assert data["assistant_id"] == str(system_assistant_id("talking"))
    assert "<title>About deer" in signed_in.page.text


def test_without_a_script_the_messages_can_be_read(signed_in: Person, ada: User, backend: Backend) -> None:
    """As text: nothing that somebody has written is markup."""
    thread_id = thread_of(backend, ada, values={"messages": MESSAGES})
    signed_in.open(f"/console/threads/{thread_id}")
    assert "How are &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; you?" in signed_in.page.text
    assert "<script>alert" not in signed_in.page.text
    assert "Well.\n[image]" in signed_in.page.text
    assert "search" in signed_in.told()


def test_messages_are_read_as_everywhere(signed_in: Person, ada: User, backend: Backend) -> None:
    """In whatever shape a graph keeps them: the page and the file that a thread is exported to know the same ones."""
    messages = [{"role": "user", "content": "Who?"}, ["assistant", "Me."], {"type": "AIMessageChunk", "content": [7]}]
    thread_id = thread_of(backend, ada, values={"messages": messages})
    signed_in.open(f"/console/threads/{thread_id}")
    assert "You Who? Agent Me. Agent 7" in signed_in.told()


def test_of_what_is_very_long_the_newest_stands_there(signed_in: Person, ada: User, backend: Backend) -> None:
    """And how to have all of it."""
    for messages in (["x" * 5_000_000], [f"{number} " + "x" * 1_000 for number in range(2_000)]):
        said = [*({"type": "ai", "content": text} for text in messages), {"type": "human", "content": "the last one"}]
        thread_id = thread_of(backend, ada, values={"messages": said})
        page = signed_in.open(f"/console/threads/{thread_id}")
        assert len(page.get_data()) < 300_000
        assert "the last one" in page.text
        assert f'href="/console/threads/{thread_id}/export.md"' in page.text
    thread_id = thread_of(backend, ada, values={"messages": MESSAGES})
    assert "export.md" not in signed_in.open(f"/console/threads/{thread_id}").text


def test_a_state_without_messages_is_no_error(signed_in: Person, ada: User, backend: Backend) -> None:
    nothing: list[Any] = [[], "text", {"messages": 1}, {"messages": [1, None, {}, {"content": None}]}]
    for values in [None, *nothing]:
        thread_id = thread_of(backend, ada, values=values)
        assert signed_in.open(f"/console/threads/{thread_id}").status_code == 200, values
        assert "There are no messages yet." in signed_in.told(), values


def test_a_graph_that_is_served_no_more_leaves_the_thread_to_read(
    signed_in: Person, ada: User, backend: Backend
) -> None:
    for named in ("nobody", 7, None):
        thread_id = thread_of(backend, ada, metadata={"assistant_id": named}, values={"messages": MESSAGES})
        assert signed_in.open(f"/console/threads/{thread_id}").status_code == 200, named
        assert data_of(signed_in)["assistant_id"] == str(system_assistant_id("talking")), "the graph's own"


def test_somebody_elses_thread_is_not_there(signed_in: Person, backend: Backend) -> None:
    other = make_user(backend, "bob@example.com")
    thread_id = thread_of(backend, other, values={"messages": MESSAGES}, title="Secret")
    assert signed_in.open(f"/console/threads/{thread_id}").status_code == 404
    assert "Secret" not in signed_in.page.text


@pytest.mark.parametrize(("scope", "may_write"), [(Scope.READ, False), (Scope.RUN, True)])
def test_who_may_only_read_is_told_so_and_has_no_token(
    accounts_app: Flask,
    ada: User,
    backend: Backend,
    scope: Scope,
    may_write: bool,  # noqa: FBT001
) -> None:
    key = {"x-api-key": make_key(backend, ada, scope=scope)}
    person = Person(accounts_app)
    assert person.open("/console/threads/new", **key).status_code == 200
    assert data_of(person)["may_write"] is may_write
    assert data_of(person)["csrf"] is None


def test_a_session_has_its_token_on_the_page(signed_in: Person) -> None:
    signed_in.open("/console/threads/new")
    token = data_of(signed_in)["csrf"]
    base = signed_in.browser.base
    headers = {"X-CSRFToken": token, "Origin": base}
    assert signed_in.browser.client.post("/threads", json={}, base_url=base, headers=headers).status_code == 200


@pytest.mark.parametrize("role", Role)
def test_the_island_knows_whether_its_reader_is_an_administrator(person: Person, backend: Backend, role: Role) -> None:
    """To them alone it offers a traceback, which it has from the run's page."""
    person.sign_in(make_user(backend, "ada@example.com", role=role)).open("/console/threads/new")
    assert data_of(person)["is_admin"] is (role is Role.ADMIN)


def test_without_its_script_the_page_says_what_is_missing(signed_in: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_VENDOR", STATIC / "vendor" / "not there.js")
    signed_in.open("/console/threads/new")
    assert "make console-vendor" in signed_in.told()
    assert "workspace/main.js" not in signed_in.page.text


def test_the_words_are_those_of_the_readers_language(signed_in: Person) -> None:
    signed_in.open("/console/threads/new", **{"Accept-Language": "zh-CN"})
    assert data_of(signed_in)["strings"]["Send"] == "发送"
    signed_in.open("/console/threads/new", **{"Accept-Language": "en-US"})
    assert data_of(signed_in)["strings"] == {}


SAID = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')


def said() -> set[str]:
    """What the island's modules say."""
    files = [STATIC / name for name in workspace.modules() if name.startswith("workspace/")]
    return {json.loads(f'"{text}"') for file in files for text in SAID.findall(file.read_text())}


def test_every_word_of_the_island_is_translated_and_none_is_left_over() -> None:
    assert said()
    assert said() == set(workspace.words_of("zh-CN"))


def test_two_rooms_say_the_same_word_in_one_way() -> None:
    spoken: dict[str, set[str]] = {}
    for file in (STATIC / "strings").glob("*.zh-CN.json"):
        for english, chinese in json.loads(file.read_text()).items():
            spoken.setdefault(english, set()).add(chinese)
            assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english
    assert {english: ways for english, ways in spoken.items() if len(ways) > 1} == {}
