"""``flask webhooks`` as an operator uses it."""

import json
from uuid import uuid4

import pytest
from click.testing import CliRunner

from deerflow.cli.__main__ import main
from deerflow.domain.webhooks import Receipt
from deerflow.hooks.signing import keys_of
from deerflow.storage import webhooks
from tests.factories import make_run
from tests.integration.storage.test_webhooks import LEASE

URL = "https://user:hidden@hooks.example.org/hook?a=b"


@pytest.fixture
def deerflow(settings, monkeypatch):
    """Calls a command in this set-up; its exit code and what it printed."""
    monkeypatch.setenv("DEERFLOW_DATA", str(settings.data))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.delenv("DEERFLOW_WEBHOOK_SECRET", raising=False)

    def call(*words):
        ended = CliRunner().invoke(main, ["webhooks", *words])
        return ended.exit_code, ended.output

    return call


def put(backend):
    run = make_run(backend)
    with backend.db.begin() as tx:
        return webhooks.put(tx, run, url=URL, receiver="https://hooks.example.org:443", payload={"status": "success"})


def give_up(backend):
    with backend.db.begin() as tx:
        webhook, _ = webhooks.claim(tx, lease=LEASE, besides=[])
        webhooks.failed(tx, webhook, Receipt(503, "answered 503"), again_seconds=None)
    return webhook.webhook_id


def test_lists(deerflow, backend):
    put(backend)
    dead, pending = give_up(backend), put(backend)
    code, shown = deerflow("list")
    assert code == 0
    assert [line[:47].split() for line in shown.splitlines()[1:]] == [[str(pending), "pending"], [str(dead), "dead"]]
    assert "answered 503" in shown
    assert "hidden" not in shown
    assert str(pending) not in deerflow("list", "--dead")[1]
    assert str(dead) not in deerflow("list", "--pending")[1]
    assert len(deerflow("list", "--limit", "1")[1].splitlines()) == 2


def test_shows_one_without_its_credentials(deerflow, backend):
    webhook_id = put(backend)
    code, shown = deerflow("show", str(webhook_id))
    found = json.loads(shown)
    assert code == 0
    assert (found["url"], found["state"]) == ("https://***@hooks.example.org/hook?a=b", "pending")
    assert found["payload"] == {"status": "success"}


def test_replays_one(deerflow, backend):
    put(backend)
    dead = give_up(backend)
    assert deerflow("replay", str(dead)) == (0, "1 to be sent again by the clock.\n")
    with backend.db.read() as tx:
        assert webhooks.get(tx, dead)[0].state == "pending"
    code, told = deerflow("replay", str(dead))
    assert code == 1
    assert "is still being tried, next at" in told


def test_replays_all_dead(deerflow, backend):
    for _ in range(2):
        put(backend)
        give_up(backend)
    put(backend)
    assert deerflow("replay", "--all-dead") == (0, "2 to be sent again by the clock.\n")


def test_replays_all_that_are_named_or_none(deerflow, backend):
    put(backend)
    dead = give_up(backend)
    assert deerflow("replay", str(dead), str(uuid4()))[0] == 1
    with backend.db.read() as tx:
        assert webhooks.get(tx, dead)[0].state == "dead"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["show", str(uuid4())], 1, "not found"),
        (["show", "x"], 1, "x is not the id of a webhook; list them with: flask --app app webhooks list"),
        (["replay"], 2, "Name the webhooks by their ids, or say --all-dead."),
        (["replay", str(uuid4()), "--all-dead"], 2, "Name the webhooks by their ids, or say --all-dead."),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(deerflow, words, code, told):
    ended, shown = deerflow(*words)
    assert ended == code
    assert told in shown
    assert "Traceback" not in shown


def test_a_database_without_our_tables_is_told(deerflow, monkeypatch, tmp_path):
    (tmp_path / "empty.db").touch()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    code, told = deerflow("list")
    assert code == 1
    assert "The schema is at nothing" in told


def test_a_database_that_is_not_there_is_named(deerflow, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/deerflow.db")
    code, told = deerflow("list")
    assert code == 1
    assert f"no database at {tmp_path}/nowhere/deerflow.db" in told
    assert "DEERFLOW_DATA" in told


def test_secret(deerflow, settings, monkeypatch):
    """The one that is set; the test's set-up names its database, so none is made."""
    code, told = deerflow("secret")
    assert code == 1
    assert "Set DEERFLOW_WEBHOOK_SECRET" in told
    monkeypatch.setenv("DATABASE_URL", "")
    code, made = deerflow("secret")
    assert code == 0
    assert len(keys_of(made)) == 1
    assert (settings.data / "webhook-secret").read_text() == made
    monkeypatch.setenv("DEERFLOW_WEBHOOK_SECRET", "whsec_x")
    assert deerflow("secret") == (0, "whsec_x\n")
