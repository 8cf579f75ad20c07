"""Questions of many MB, or thousands of them: what the page shows, what it costs, and where the whole is."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from tests.integration.web.asking import ONE, REQUEST, all_runs, asking, place
from tests.integration.web.conftest import Person


@pytest.mark.parametrize("payload", ["x" * 5_000_000, {"question": "Send it?", "body": "x" * 5_000_000},
                                     [{"row": number, "of": ["x" * 90] * 20} for number in range(2_000)],
                                     {f"name {number}": "x" * 1_000 for number in range(2_000)}])  # fmt: skip
def test_what_is_very_long_is_shown_by_its_beginning_and_is_whole_elsewhere(
    reader: Person, backend: Backend, caller: Principal, payload: Any
) -> None:
    run = asking(backend, caller, payload)
    page = reader.open(place(run))
    assert len(page.get_data()) < 200_000
    assert len(reader.open("/console/approvals").get_data()) < 20_000
    (whole,) = set(re.findall(r'href="([^"]+/value[^"]+)">Show the whole value<', page.text))
    sent = reader.open(whole)
    assert sent.mimetype == "text/plain"
    assert (sent.text if isinstance(payload, str) else json.loads(sent.text)) == payload


def test_what_is_very_long_is_sent_as_it_is(reader: Person, backend: Backend, caller: Principal) -> None:
    """To pack it would hold up everybody else."""
    asked = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
    for length, is_packed in ((100_000, True), (3_000_000, False)):
        run = asking(backend, caller, "x" * length)
        sent = reader.open(f"{place(run)}/value?interrupt={ONE}", **asked)
        assert [name in sent.headers for name in ("Content-Encoding", "ETag")] == [is_packed, is_packed]
        assert (len(sent.get_data()) == length) is not is_packed


def test_what_is_long_is_edited_and_what_is_very_long_is_written_anew(
    reader: Person, backend: Backend, caller: Principal
) -> None:
    for length, is_edited in ((100_000, True), (300_000, False)):
        action = {"name": "write_file", "args": {"content": "x" * length}}
        page = reader.open(place(asking(backend, caller, {**REQUEST, "action_requests": [action]}))).text
        field = re.search(r'name="edit\.0\.0"[^>]*>([^<]*)<', page)
        assert field is not None
        assert (len(field[1]) > length) is is_edited
        assert ("too long to be edited here" in page) is not is_edited
        assert len(page) < 250_000


def test_two_thousand_actions_are_asked_about_at_once(reader: Person, backend: Backend, caller: Principal) -> None:
    """Each by itself, whatever there is no place for any more."""
    asked = [{"name": "send", "args": {"to": "somebody" * 50}} for _ in range(2_000)]
    configs = [{"action_name": "send", "allowed_decisions": ["approve", "reject"]}]
    page = reader.open(place(asking(backend, caller, {"action_requests": asked, "review_configs": configs}))).text
    assert page.count('value="approve"') == 2_000
    assert "Show the whole value" in page


def test_others_are_answered_while_very_many_actions_are_drawn(
    reader: Person, backend: Backend, caller: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    monkeypatch.setattr("deerflow.web.approvals.time", SimpleNamespace(sleep=given.append))
    asked = {**REQUEST, "action_requests": REQUEST["action_requests"][:1] * 120}
    assert reader.open(place(asking(backend, caller, asked))).status_code == 200
    assert given == [0, 0]


def test_of_very_many_questions_the_first_are_answered_at_once(
    reader: Person, backend: Backend, caller: Principal
) -> None:
    run = asking(backend, caller, *(f"Question {number}?" for number in range(150)))
    page = reader.open(place(run))
    assert page.text.count('name="interrupt"') == 100
    assert "the first 100 of 150 questions" in page.text
    given = {f"kind.{number}.0": "yes" for number in range(100)}
    assert (
        reader.send(place(run), interrupt=[str(number + 1) * 32 for number in range(100)], **given).status_code == 303
    )
    (command,) = [each.kwargs["command"] for each in all_runs(backend, run)[:1]]
    assert len(command["resume"]) == 100
