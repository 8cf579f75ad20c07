"""The list of threads, as its reader sees it and works with it."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.assistants import AssistantSpec
from deerflow.domain.ids import new_id
from deerflow.domain.principal import PERMISSIONS, Principal
from deerflow.domain.threads import Thread, ThreadHead
from deerflow.domain.words import ThreadStatus
from deerflow.errors import NotFound
from deerflow.runtime import ask, build
from deerflow.runtime.build import Built
from deerflow.settings import Settings
from deerflow.storage import assistants, models, threads
from tests.factories import LOCAL_USER, claim_run, make_app, make_run, make_running, make_thread, make_user, thread_of
from tests.integration.identity.stranger import with_session

LIST = "/console/threads"
HELLO = {"messages": [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "Hi."}]}
ASKED = {"task": [{"id": "a", "value": "sure?"}]}


@pytest.fixture
def user(ada: User) -> Principal:
    """Whose list it is."""
    return Principal(ada.owner, PERMISSIONS)


@pytest.fixture
def client(accounts_app: Flask, backend: Backend, ada: User) -> Iterator[FlaskClient]:
    """Ada's browser, on the list."""
    with with_session(accounts_app, backend, ada) as browser:
        yield browser


def make(backend: Backend, owner: Principal, title: str | None, **columns: Any) -> UUID:
    """A thread that is what time would make of one."""
    thread_id = make_thread(backend, owner).thread_id
    with backend.db.begin() as tx:
        of_it = models.threads.c.thread_id == thread_id
        tx.execute(sa.update(models.threads).where(of_it).values(title=title, **columns))
    return thread_id


def titles(client: FlaskClient, **query: str) -> list[str]:
    """The titles on the page, in order."""
    page = client.get(LIST, query_string=query)
    assert page.status_code == 200
    return [unescape(title) for title in re.findall(r'class="row-link[^>]*>([^<]*)<', page.text)]


def get(backend: Backend, owner: Principal, thread_id: UUID) -> Thread:
    with backend.db.read() as tx:
        return threads.get(tx, owner, thread_id)


def test_a_row_says_what_it_is_called_who_answers_and_how_it_stands(
    client: FlaskClient, backend: Backend, user: Principal
) -> None:
    with backend.db.begin() as tx:
        spec = AssistantSpec(graph_id="steps", name="The planner")
        assistant = assistants.create(tx, user, new_id(), spec)
    run = make_running(backend, user, assistant=str(assistant.assistant_id), input=HELLO)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.threads).values(values=HELLO))
    page = client.get(LIST).text
    row = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index("<tbody>") : page.index("</tbody>")]))
    for word in ("hello there", "The planner", "Running", " 2 "):
        assert word in row
    assert f'href="{LIST}/{run.thread_id}"' in page


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        ("running", {"status": ThreadStatus.BUSY}),
        ("needs-approval", {"status": ThreadStatus.INTERRUPTED, "interrupts": ASKED}),
        ("stopped", {"status": ThreadStatus.INTERRUPTED, "interrupts": {}}),
        ("failed", {"status": ThreadStatus.ERROR}),
        ("idle", {"status": ThreadStatus.IDLE}),
    ],
)
def test_each_status_has_its_word_and_its_filter(
    client: FlaskClient, backend: Backend, user: Principal, status: str, columns: dict[str, Any]
) -> None:
    """``interrupted`` is never said: it means a stop, and a question as well."""
    others = [{"status": each} for each in ThreadStatus if each not in columns.values()]
    for other in [*others, {"status": ThreadStatus.INTERRUPTED, "interrupts": None if status != "stopped" else ASKED}]:
        make(backend, user, "another", **other)
    made = make(backend, user, "this one", **columns)
    if status == "running":
        make_running(backend, user, thread_id=made)
    page = client.get(LIST, query_string={"status": status}).text
    assert titles(client, status=status) == ["this one"]
    word = status.replace("-", " ").capitalize()
    assert f"{word}</span>" in page[page.index("<tbody>") :]
    assert "interrupted" not in page.lower()


def test_title_agent_and_metadata_are_found_together_and_the_address_keeps_them(
    client: FlaskClient, backend: Backend, user: Principal
) -> None:
    agent = str(new_id())
    for title, metadata in {
        "Trip to Oslo": {"assistant_id": agent, "customer": "acme", "seats": 3},
        "Trip to Rome": {"assistant_id": agent, "customer": "other"},
        "Oslo again": {"customer": "acme", "seats": "3"},
    }.items():
        make(backend, user, title, metadata=metadata)
    assert titles(client, q="oslo") == ["Oslo again", "Trip to Oslo"]
    assert titles(client, agent=agent) == ["Trip to Rome", "Trip to Oslo"]
    assert titles(client, metadata="customer=acme") == ["Oslo again", "Trip to Oslo"]
    assert titles(client, metadata="customer=acme, seats=3") == ["Trip to Oslo"]
    assert titles(client, metadata='seats="3"') == ["Oslo again"]
    assert titles(client, q="trip", agent=agent, metadata="customer=acme") == ["Trip to Oslo"]
    page = client.get(LIST, query_string={"q": "trip", "agent": agent, "metadata": "customer=acme"}).text
    assert f"?agent={agent}&amp;q=trip&amp;metadata=customer%3Dacme&amp;status=idle" in page, "the others stay"
    assert 'value="trip"' in page
    assert 'value="customer=acme"' in page


@pytest.mark.parametrize(
    "query",
    [
        {"status": "nonsense"}, {"agent": "nonsense"}, {"page": "x"}, {"page": "-3"}, {"page": "9" * 4000},
        {"q": "\0"}, {"q": "x" * 9000}, {"metadata": "a=\0"}, {"metadata": "a=[1"}, {"metadata": 'a={"b":1}'},
        {"metadata": "a=1e999"}, {"metadata": f"a={'9' * 100}"}, {"metadata": "a=" + "[" * 2000},
    ],
)  # fmt: skip
def test_no_address_is_too_odd(client: FlaskClient, backend: Backend, user: Principal, query: dict[str, str]) -> None:
    make(backend, user, "one")
    assert client.get(LIST, query_string=query).status_code == 200


def test_metadata_that_cannot_be_read_is_told_at_its_field(
    client: FlaskClient, backend: Backend, user: Principal
) -> None:
    make(backend, user, "one")
    page = client.get(LIST, query_string={"metadata": "customer"}).text
    assert 'aria-describedby="metadata-wrong"' in page
    assert "Write metadata as key=value" in page
    assert 'value="customer"' in page


def test_a_page_has_twenty_five_and_tells_of_how_many(client: FlaskClient, backend: Backend, user: Principal) -> None:
    with backend.db.begin() as tx:
        for number in range(27):
            threads.create(tx, user, new_id(), {"title": f"Thread {number}"})
    assert titles(client) == [f"Thread {number}" for number in range(26, 1, -1)]
    page = client.get(LIST).text
    assert "of 27" in page
    assert f'rel="next" href="{LIST}?page=2"' in page
    assert titles(client, page="2") == ["Thread 1", "Thread 0"]
    assert titles(client, page="99") == ["Thread 1", "Thread 0"], "the nearest one that there is"
    assert "q=thread&amp;page=2" in client.get(LIST, query_string={"q": "thread"}).text


def test_nothing_there_and_nothing_found_are_told_apart(client: FlaskClient, backend: Backend, user: Principal) -> None:
    """Each with a next step."""
    fresh = client.get(LIST).text
    assert "Start here" in fresh
    assert 'url="http://localhost"' in unescape(fresh)
    assert "threads/new?agent=" in fresh or "No agent is there yet" in fresh
    make(backend, user, "one")
    nothing = client.get(LIST, query_string={"q": "two"}).text
    assert "No thread matches" in nothing
    assert f'href="{LIST}"' in nothing
    assert "Start here" not in client.get(LIST).text


def test_a_thread_without_a_title_is_called_untitled_and_never_by_its_id(
    client: FlaskClient, backend: Backend, user: Principal
) -> None:
    make(backend, user, None)
    assert titles(client) == ["Untitled"]


def test_a_new_name_is_seen_by_api_clients_too(client: FlaskClient, backend: Backend, user: Principal) -> None:
    thread_id = make(backend, user, "what was asked", metadata={"kind": "chat"})
    back = f"{LIST}?q=asked&page=2"
    answer = client.post(f"{LIST}/{thread_id}/rename", data={"title": " A better\nname ", "back": back})
    assert (answer.status_code, answer.headers["Location"]) == (303, back)
    assert titles(client) == ["A better name"]
    assert get(backend, user, thread_id).metadata == {"kind": "chat", "title": "A better name"}


@pytest.mark.parametrize("title", ["", "  ", "\0\n", None])
def test_an_empty_name_is_none(client: FlaskClient, backend: Backend, user: Principal, title: str | None) -> None:
    thread_id = make(backend, user, "as before")
    answer = client.post(f"{LIST}/{thread_id}/rename", data={} if title is None else {"title": title})
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert get(backend, user, thread_id).title == "as before"


def test_one_or_several_are_deleted(client: FlaskClient, backend: Backend, user: Principal) -> None:
    """Those that have gone meanwhile are none."""
    ids = [make(backend, user, f"Thread {number}") for number in range(4)]
    answer = client.post(f"{LIST}/{ids[0]}/delete", data={"back": "https://evil.example/"})
    assert answer.headers["Location"] == LIST
    assert titles(client) == ["Thread 3", "Thread 2", "Thread 1"]
    ticked = [str(ids[1]), str(ids[2]), str(ids[0]), str(new_id()), "nonsense"]
    assert client.post(f"{LIST}/delete", data={"thread": ticked}).status_code == 303
    assert titles(client) == ["Thread 3"]
    assert client.post(f"{LIST}/delete").status_code == 303


def test_a_copy_is_opened(
    client: FlaskClient, backend: Backend, user: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a state worker does for it: test_thread_building.py."""
    thread_id = make(backend, user, "the first")

    def copied(backend: Backend, _caller: Principal, source: Thread, made: UUID) -> Built:
        with backend.db.begin() as tx:
            token = threads.reserve(tx, made, seconds=90.0)
        return Built(made, token, source.metadata, None, ThreadHead(HELLO, (), {}), source)

    monkeypatch.setattr(build, "copy_thread", copied)
    place = client.post(f"{LIST}/{thread_id}/copy").headers["Location"]
    assert get(backend, user, UUID(place.removeprefix(f"{LIST}/"))).title == "the first"


def test_a_thread_is_exported_for_people(client: FlaskClient, backend: Backend, user: Principal) -> None:
    said = [
        *HELLO["messages"],
        {"type": "ai", "content": "", "tool_calls": [{"name": "search", "args": {"q": "oslo"}, "id": "1"}]},
        {"type": "tool", "name": "search", "content": "found\n```\ncode\n```"},
        {"type": "ai", "content": [{"type": "text", "text": "Here."}, {"type": "image", "url": "x"}]},
    ]
    thread_id = make(backend, user, 'Trip: "Oslo"/../2', values={"messages": said}, metadata={"graph_id": "steps"})
    answer = client.get(f"{LIST}/{thread_id}/export.md")
    assert answer.mimetype == "text/markdown"
    assert f"attachment; filename=trip-oslo-2-{str(thread_id)[-8:]}.md" in answer.headers["Content-Disposition"]
    text = answer.text
    assert text.startswith('# Trip: "Oslo"/../2\n\n- Agent: steps\n')
    assert "## User\n\nhello there\n\n## Agent\n\nHi." in text
    assert '**Calls the tool** `search`\n\n```json\n{\n  "q": "oslo"\n}\n```' in text
    assert "## Tool · search\n\n````\nfound\n```\ncode\n```\n````" in text, "the fence is longer than those within"
    assert '"type": "image"' in text


def test_threads_are_exported_for_programs(client: FlaskClient, backend: Backend, user: Principal) -> None:
    ids = [make(backend, user, f"Thread {number}", values=HELLO) for number in range(3)]
    one = client.get(f"{LIST}/{ids[0]}/export.json")
    assert one.mimetype == "application/json"
    assert one.headers["Cache-Control"] == "no-store"
    assert "attachment" in one.headers["Content-Disposition"]
    told = one.get_json()
    assert (told["thread_id"], told["title"], told["values"]) == (str(ids[0]), "Thread 0", HELLO)
    several = client.post(f"{LIST}/export", data={"thread": [str(ids[0]), str(ids[2]), str(new_id())]})
    assert [each["title"] for each in several.get_json()] == ["Thread 2", "Thread 0"]
    assert client.post(f"{LIST}/export").get_json() == []


def test_an_export_that_nobody_can_complete_says_so(
    client: FlaskClient, backend: Backend, user: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run is under way only a state worker knows what has been said."""
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 0.05)
    run = make_run(backend, user, input=HELLO)
    for ending in ("json", "md"):
        answer = client.get(f"{LIST}/{run.thread_id}/export.{ending}")
        assert (answer.status_code, answer.mimetype) == (503, "text/html")
        assert "No state worker answers" in answer.text


def test_nobody_elses_thread_is_seen_or_touched(
    client: FlaskClient, accounts_app: Flask, backend: Backend, user: Principal
) -> None:
    """scenario 42: on the list, in exports, by any action, alone or among others; told as one that nobody has."""
    thread_id = make(backend, user, "only mine", values=HELLO)
    stranger = with_session(accounts_app, backend, make_user(backend, "stranger@example.com"))
    for query in ({}, {"q": "mine"}, {"status": "idle"}):
        assert titles(stranger, **query) == []
    assert "Start here" in stranger.get(LIST).text
    actions = [
        stranger.post(f"{LIST}/{thread_id}/{act}", data={"title": "theirs"}) for act in ("rename", "copy", "delete")
    ]
    files = [stranger.get(f"{LIST}/{thread_id}/export.{ending}") for ending in ("json", "md")]
    assert {answer.status_code for answer in actions + files} == {404}
    assert stranger.post(f"{LIST}/export", data={"thread": str(thread_id)}).get_json() == []
    stranger.post(f"{LIST}/delete", data={"thread": str(thread_id)})
    assert get(backend, user, thread_id).title == "only mine"
    assert titles(client) == ["only mine"]


def test_a_title_is_text_whatever_it_says(client: FlaskClient, backend: Backend, user: Principal) -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    thread_id = make(backend, user, evil, values=HELLO)
    assert titles(client) == [evil]
    assert "<img src=x" not in client.get(LIST).text
    named = client.get(f"{LIST}/{thread_id}/export.md").headers["Content-Disposition"]
    assert not set(named) & set("<>\r\n")


def test_the_list_works_where_there_are_no_accounts(settings: Settings, backend: Backend) -> None:
    client = make_app(settings, backend).test_client()
    thread_id = make(backend, LOCAL_USER, "on this machine")
    assert titles(client) == ["on this machine"]
    named = client.post(f"{LIST}/{thread_id}/rename", data={"title": "renamed"}, headers={"Origin": "http://localhost"})
    assert named.status_code == 303
    assert titles(client) == ["renamed"]
    client.post(f"{LIST}/{thread_id}/delete", headers={"Origin": "http://localhost"})
    with pytest.raises(NotFound):
        get(backend, LOCAL_USER, thread_id)
    assert "api_key" not in client.get(LIST).text


def test_a_run_elsewhere_shows_on_the_part_that_stays_up_to_date(
    client: FlaskClient, backend: Backend, user: Principal
) -> None:
    """Every five seconds it is fetched again (live.js); also from the page that says how to start."""
    assert re.search(r'id="threads-page" data-live="5"', client.get(LIST).text)
    run = make_run(backend, user, input=HELLO)
    assert thread_of(backend, run, user).title == "hello there"
    assert "hello there" in live_part(client)
    assert claim_run(backend, run)
    assert "Running</span>" in live_part(client)


@pytest.mark.parametrize("after_seconds", [0, 3600])
def test_a_thread_is_running_when_a_worker_has_its_run(
    client: FlaskClient, backend: Backend, user: Principal, after_seconds: int
) -> None:
    """Until then it waits, as the list of runs says; for clients it is busy, and found among those."""
    run = make_run(backend, user, input=HELLO, after_seconds=after_seconds)
    assert thread_of(backend, run, user).status is ThreadStatus.BUSY
    assert "Waiting</span>" in live_part(client)
    assert "Running</span>" not in live_part(client)
    assert titles(client, status="running") == ["hello there"]


def live_part(client: FlaskClient) -> str:
    """The rows, which are fetched again and again."""
    part = client.get(LIST).text.partition('id="thread-list" data-live="5"')[2]
    return part[part.index("<tbody>") :]
