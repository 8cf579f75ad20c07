"""What a person reads of runs on the pages."""

import html
import re
from uuid import UUID

from flask.testing import FlaskClient

LIST = "/console/runs"

_BADGE = re.compile(r'<span class="badge ([\w-]+)"><span class="dot"></span>([^<]+)</span>')


def rows(page: str) -> dict[str, str]:
    """The rows of the list, by the id of their run; each without its tags."""
    found = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    return {str(re.search(rf"{LIST}/([0-9a-f-]{{36}})", row)[1]): text(row) for row in found}  # type: ignore[index]


def word_in_list(page: str, run_id: UUID | str) -> str:
    """The word for a run's status in the list."""
    (row,) = (row for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL) if f"{LIST}/{run_id}" in row)
    return _BADGE.findall(row)[0][1]


def word_on_page(page: str) -> str:
    """The same on the run's own page."""
    return _BADGE.findall(page)[0][1]


def pills(page: str) -> dict[str, int]:
    """The numbers behind the words that the list is filtered by."""
    found = re.findall(r'<a class="pill"[^>]*><span>([^<]+)</span><span class="number">([\d,]+)</span>', page)
    return {word: int(number.replace(",", "")) for word, number in found}


def text(markup: str) -> str:
    """What is read, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def get(client: FlaskClient, path: str, status: int = 200) -> str:
    """A page."""
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    return answer.text
