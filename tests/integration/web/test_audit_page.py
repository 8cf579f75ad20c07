"""The page of the audit: what was done, in words; found by who, what and when, and taken along."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deerflow import web
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Role
from deerflow.runtime import keys
from deerflow.runtime import users as acts
from deerflow.runtime.users import By
from deerflow.storage import audit, models
from tests.factories import make_user
from tests.integration.identity.conftest import SignIn

AUDIT = "/console/audit"
ROOT = "root@example.com"


@pytest.fixture
def root(backend: Backend) -> User:
    """An administrator."""
    return make_user(backend, ROOT, role=Role.ADMIN)


@pytest.fixture
def admin(as_signed_in: SignIn, root: User) -> FlaskClient:
    """Their browser."""
    return as_signed_in(root)


def note(backend: Backend, action: str, at: datetime | None = None, **more: Any) -> None:
    """An entry as it might be there, and from when."""
    usual = {"actor": None, "subject": None, "address": None, "detail": {}, "at": at or datetime.now(UTC)}
    with backend.db.begin() as tx:
        tx.execute(sa.insert(models.audit).values({"entry_id": new_id(), "action": action, **usual, **more}))


def rows(client: FlaskClient, query: str = "") -> list[tuple[str, str]]:
    """Who has done what, as the page tells it, newest first."""
    page = client.get(f"{AUDIT}?{query}")
    assert page.status_code == 200
    found = re.findall(
        r'<td class="cut wide">(.*?)</td><td class="said">.*?<span title=[^>]*>(.*?)</span></td>', page.text
    )
    return [(re.sub(r"<[^>]+>", "", who), did.replace("&#34;", '"')) for who, did in found]


def test_deeds_are_told_in_words(admin: FlaskClient, root: User, ada: User, backend: Backend) -> None:
    """Sign-ins, keys, roles, deletions; by whom."""
    by = By(root.owner, "192.0.2.1")
    with backend.db.begin() as tx:
        acts.change_role(tx, ada, Role.ADMIN, by)
        made, _ = keys.make_key(tx, ada.user_id, name="of CI", scope="run", expires_at=None, actor=ada.owner)  # type: ignore[arg-type]
        acts.reset_link(tx, ada, by)
        acts.disable_user(tx, ada, By())
        audit.note(tx, "thread.delete", actor=ada.owner, subject="a-thread", runs=2)
        audit.note(tx, "session.fail", actor=None, subject="eve@example.com", reason="unknown", address="192.0.2.9")
        audit.note(tx, "moon.land", actor="somebody-gone", subject="moon")
    assert rows(admin) == [
        ("somebody-gone", "moon.land moon"),
        ("Somebody", "Could not sign in as eve@example.com: there is no such account"),
        ("ada@example.com", "Deleted the thread a-thread with 2 runs"),
        ("The operator", "Disabled ada@example.com"),
        (ROOT, "Made a link to set the password of ada@example.com"),
        ("ada@example.com", f"Made the API key “of CI” ({made.prefix}…)"),
        (ROOT, "Made ada@example.com an administrator"),
    ]


def test_every_action_has_words(admin: FlaskClient, backend: Backend) -> None:
    """Whatever the code notes; what its entries lack is no error."""
    actions = noted()
    assert {"session.begin", "user.disable", "key.revoke", "run.delete"} <= actions
    for action in actions:
        note(backend, action)
    told = [did for _, did in rows(admin)]
    assert len(told) == len(actions)
    assert [did for did in told if re.search(r"\b[a-z]+\.[a-z]+\b", did)] == []


def noted() -> set[str]:
    """The actions that the code names."""
    kinds = "session|password|email|user|setup|key|thread|run|assistant"
    sources = (web.__path__[0], web.__path__[0].replace("web", "runtime"), web.__path__[0].replace("web", "identity"))
    texts = [file.read_text() for folder in sources for file in Path(folder).glob("*.py")]
    verbs = "begin|end|fail|change|reset|link|create|promote|demote|disable|enable|finish|revoke|delete"
    return {found for text in texts for found in re.findall(rf'"((?:{kinds})\.(?:{verbs}))"', text)}


def test_entries_are_found_by_who_what_and_when(admin: FlaskClient, root: User, ada: User, backend: Backend) -> None:
    """Several at once, too. A day is the reader's, and the last one counts as a whole."""
    admin.set_cookie("deerflow_zone", "Asia/Shanghai")
    note(backend, "session.begin", datetime(2026, 3, 1, 15, 59, tzinfo=UTC), actor=ada.owner)  # still the 1st there
    note(backend, "session.begin", datetime(2026, 3, 1, 16, 0, tzinfo=UTC), actor=root.owner)  # the 2nd
    note(backend, "key.create", datetime(2026, 3, 2, 15, 59, tzinfo=UTC), actor=ada.owner, detail={"name": "k"})
    found = {
        query: len(rows(admin, query))
        for query in (
            "", "who=ada@example.com", "who=ADA@Example.com", f"who={ada.owner}", "who=nobody@example.com", "who=%00",
            "what=sign-ins", "what=keys", "what=nonsense", "what=deletions", "from=2026-03-02", "to=2026-03-01",
            "from=2026-03-02&to=2026-03-02", "from=2026-03-02&who=ada@example.com", "from=x", "to=9999-12-31",
            "from=0001-01-01",
        )
    }  # fmt: skip
    assert found == {
        "": 3, "who=ada@example.com": 2, "who=ADA@Example.com": 2, f"who={ada.owner}": 2, "who=nobody@example.com": 0,
        "who=%00": 0, "what=sign-ins": 2, "what=keys": 1, "what=nonsense": 3, "what=deletions": 0,
        "from=2026-03-02": 2, "to=2026-03-01": 1, "from=2026-03-02&to=2026-03-02": 2,
        "from=2026-03-02&who=ada@example.com": 1, "from=x": 3, "to=9999-12-31": 3, "from=0001-01-01": 3,
    }  # fmt: skip
    assert "There is no account called “nobody@example.com”." in admin.get(f"{AUDIT}?who=nobody@example.com").text


def test_many_entries_are_pages(admin: FlaskClient, root: User, backend: Backend) -> None:
    for number in range(60):
        note(backend, "run.delete", subject=f"run-{number}", actor=root.owner)
    first, second = rows(admin, "what=deletions"), rows(admin, "what=deletions&page=2")
    assert (len(first), len(second), len(set(first + second))) == (50, 10, 60)
    assert "51\u201360 of 60" in admin.get(f"{AUDIT}?what=deletions&page=2").text


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of exports, which are read in small parts."""
    made: list[float] = []
    monkeypatch.setattr("deerflow.web.audit._AT_A_TIME", 7)
    monkeypatch.setattr("deerflow.web.audit.time.sleep", made.append)
    return made


def test_all_that_was_found_is_exported(admin: FlaskClient, root: User, backend: Backend, pauses: list[float]) -> None:
    """Every entry once, also where several have the same time; newest first, with the filter of the page."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(30):
        note(backend, "run.delete", at + timedelta(days=number // 10), subject=f"run-{number}", actor=root.owner)
    note(backend, "session.begin", actor=root.owner)
    answer = admin.get(f"{AUDIT}/export?as=json&what=deletions&who={ROOT}")
    assert answer.mimetype == "application/json"
    assert re.fullmatch(r'attachment; filename="audit-\d{4}-\d\d-\d\d\.json"', answer.headers["Content-Disposition"])
    told = answer.get_json()
    assert len(pauses) == 4, "others are answered between the parts"
    assert sorted(entry["subject"] for entry in told) == sorted(f"run-{number}" for number in range(30))
    assert [entry["at"] for entry in told] == sorted((entry["at"] for entry in told), reverse=True)
    assert (told[-1]["who"], told[-1]["actor"], told[-1]["action"]) == (ROOT, root.owner, "run.delete")
    lines = list(csv.DictReader(io.StringIO(admin.get(f"{AUDIT}/export?what=deletions").text.removeprefix("\ufeff"))))
    assert [line["subject"] for line in lines] == [entry["subject"] for entry in told]
    assert admin.get(f"{AUDIT}/export?as=json&what=keys").get_json() == []


def test_no_cell_is_computed_by_a_spreadsheet(admin: FlaskClient, backend: Backend) -> None:
    """What strangers type into the sign-in page stands there."""
    typed = [f'{begin}HYPERLINK("http://evil.example","x")' for begin in ("=", "+", "-", "@", "\t", "\r")]
    for text in typed:
        note(backend, "session.fail", subject=text, address=text, detail={"reason": "unknown"})
    text = admin.get(f"{AUDIT}/export?as=csv").get_data().decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert sorted((line["subject"], line["address"]) for line in lines) == sorted((f"'{x}", f"'{x}") for x in typed)
    assert {entry["subject"] for entry in admin.get(f"{AUDIT}/export?as=json").get_json()} == set(typed)


def test_what_cannot_be_exported_is_told(admin: FlaskClient) -> None:
    answer = admin.get(f"{AUDIT}/export?as=pdf")
    assert answer.status_code == 400
    assert "The audit can be had as csv or as json" in answer.text


def test_who_does_not_administrate_sees_nothing_of_it(as_signed_in: SignIn, ada: User, backend: Backend) -> None:
    note(backend, "session.fail", subject="eve@example.com")
    hers = as_signed_in(ada)
    for path in (AUDIT, f"{AUDIT}/export", f"{AUDIT}/export?as=json"):
        page = hers.get(path)
        assert page.status_code == 403, path
        assert "eve@example.com" not in page.text
    assert AUDIT not in hers.get("/console/account").text
