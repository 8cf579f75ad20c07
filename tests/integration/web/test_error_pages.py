"""Errors as pages: in the reader's language, and with the request's name, which the API and the log say as well."""

import logging
import re
from uuid import UUID

import pytest
from flask import Flask

from deerflow.api.mounts import Mount
from deerflow.errors import Unavailable
from deerflow.identity import accounts
from deerflow.logs import _context
from tests.integration.api.conftest import by_mount
from tests.integration.identity.browsers import PASSWORD
from tests.integration.web.conftest import Person

CHINESE = {"Accept-Language": "zh-CN"}


def fail(_form: object, **_facts: object) -> None:
    raise RuntimeError("broken")


@pytest.fixture
def broken(person: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody at a server with a defect."""
    monkeypatch.setattr("deerflow.web.sign_in._page", fail)
    return person


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("/console/nowhere", 404, "Not found"), ("/console/register", 403, "Not allowed"),
     ("/console/logout", 405, "Not possible"), ("/console/login", 500, "Something is wrong")],
)  # fmt: skip
def test_a_page_that_fails_names_the_request(broken: Person, path: str, status: int, title: str) -> None:
    page = broken.open(path)
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert f"<h1>{title}</h1>" in page.text
    assert UUID(page.headers["X-Request-Id"])
    assert page.headers["X-Request-Id"] in page.text


@pytest.mark.parametrize(
    ("path", "told"),
    [("users", "Only administrators look after accounts."), ("audit", "Only administrators read the audit."),
     ("system", "Only administrators see how the server is doing.")],
)  # fmt: skip
def test_what_one_may_not_do_is_told_without_the_name_of_a_permission(reader: Person, path: str, told: str) -> None:
    """And who can help."""
    assert reader.open(f"/console/{path}").status_code == 403
    assert f"{told} Ask one of them." in reader.told()
    assert "permission" not in reader.told()
    reader.browser.client.set_cookie("deerflow_language", "zh-CN", domain="deerflow.example")
    reader.open(f"/console/{path}")
    assert "请联系管理员。" in reader.told()


@by_mount
def test_the_api_names_it_as_well(accounts_app: Flask, mount: Mount) -> None:
    """In a header, of errors and of all else; a client may choose it."""
    client = accounts_app.test_client()
    refused = client.get(f"{mount.prefix}/threads/{UUID(int=1)}", headers={"X-Request-Id": "req-7"})
    assert (refused.status_code, refused.headers["X-Request-Id"]) == (401, "req-7")
    assert set(refused.get_json()) == {"detail"}
    one, other = (client.get(f"{mount.prefix}/ok").headers["X-Request-Id"] for _ in range(2))
    assert UUID(one) != UUID(other)


def test_the_log_says_the_same_name(broken: Person, caplog: pytest.LogCaptureFixture) -> None:
    """Beside the reason, which nobody else is told; and no longer than the request."""
    noted = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            noted.append((record.getMessage(), _context.get().get("request_id")))

    logging.getLogger("deerflow.api.errors").addHandler(handler := Noting())
    try:
        page = broken.open("/console/login", **{"X-Request-Id": "req-9"})
    finally:
        logging.getLogger("deerflow.api.errors").removeHandler(handler)
    assert noted == [("Unexpected error", "req-9")]
    assert "broken" in caplog.text
    assert "broken" not in page.text
    assert page.text.count(">req-9<") == page.text.count("req-9</") == 1, "told once, to be copied"
    assert "Internal Server Error" not in page.text
    assert "It is not your doing." in page.text
    assert "request_id" not in _context.get()


@pytest.mark.parametrize("sent", ["two words", "<b>", "x" * 129])
def test_a_name_is_shown_as_text(person: Person, sent: str) -> None:
    page = person.open("/console/nowhere", **{"X-Request-Id": sent})
    assert "<b>" not in page.text.partition("<h1>")[2]
    assert (page.headers["X-Request-Id"] == sent) is (sent == "<b>")


@pytest.mark.usefixtures("ada")
def test_a_wait_is_told_in_words(person: Person) -> None:
    """In the reader's language."""
    person.open("/console/login", **CHINESE)
    typed = {"email": "ada@example.com", "password": "another one"}
    for _ in range(5):
        person.send("/console/login", **typed)
    assert "Wrong e-mail or password." in person.told()
    person.send("/console/login", **typed)
    assert "Too many failed sign-ins from this address. Try again in 5 minutes." in person.told()
    person.browser.client.set_cookie("deerflow_language", "zh-CN", domain="deerflow.example")
    person.send("/console/login", **typed)
    assert "此地址的登录失败次数过多。请在 5分钟后重试。" in person.told()


@pytest.mark.usefixtures("ada")
def test_errors_of_a_form_are_told_in_chinese(person: Person) -> None:
    """None of them has a word of English."""
    person.browser.client.set_cookie("deerflow_language", "zh-CN", domain="deerflow.example")
    person.open("/console/login")
    person.send("/console/login", email="nonsense", password="x")
    assert told_beside(person) == ["电子邮箱必须是邮箱地址，例如 ada@example.com。"]  # noqa: RUF001 - as it is written
    person.send("/console/login", email="ada@example.com", password=PASSWORD)
    person.open("/console/account")
    typed = {"current": "wrong", "password": "violet tram under marble", "again": "violet tram under marble"}
    person.send("/console/account/password", **typed)
    assert told_beside(person) == ["当前密码不正确。"]
    person.send("/console/account/password", **{**typed, "password": "password1", "again": "password1"})
    assert told_beside(person) == ["新密码太常见，容易被猜到；例如可以用四个互不相关的词。"]  # noqa: RUF001 - as it is written


def told_beside(person: Person) -> list[str]:
    return re.findall(r'<span class="wrong"[^>]*>([^<]*)<', person.page.text)


def test_a_part_that_is_away_is_told_in_chinese(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("The database does not answer")

    person.open("/console/login")
    monkeypatch.setattr(accounts, "login", away)
    person.browser.client.set_cookie("deerflow_language", "zh-CN", domain="deerflow.example")
    page = person.send("/console/login", email="ada@example.com", password=PASSWORD)
    assert page.status_code == 503
    assert "<h1>暂时不可用</h1>" in page.text
    assert "数据库没有响应。" in person.told()


def test_trying_again_asks_for_the_same_page_at_the_same_prefix(broken: Person) -> None:
    """What was sent cannot be sent again by a link."""
    client = broken.browser.client
    asked = {"base_url": f"{broken.browser.base}/agents", "headers": {"Accept": "text/html"}}
    assert (
        'href="/agents/console/login?next=/console/runs"'
        in client.get("/console/login?next=/console/runs", **asked).text
    )
    assert ">Try again</a>" not in client.post("/console/login", data={}, **asked).text
