"""Pages while the database is away: the same sentence and status as the API's, whoever is signed in."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.errors import Unavailable
from tests.integration.identity.browsers import PASSWORD
from tests.integration.web.conftest import Person


@pytest.mark.parametrize("path", ["/console/threads", "/console/login", "/console/nothing-here"])
def test_who_is_signed_in_is_told_so(
    person: Person, ada: User, backend: Backend, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The page that tells it asks the database for nothing itself."""
    person.open("/console/login")
    person.send("/console/login", email=ada.email, password=PASSWORD)
    looks = []

    @contextmanager
    def away() -> Iterator[None]:
        looks.append(1)
        raise Unavailable("The database does not answer")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "read", away)
        patched.setattr(backend.db, "begin", away)
        person.open(path)
    expected = 404 if path == "/console/nothing-here" else 503
    assert (person.page.status_code, person.page.mimetype) == (expected, "text/html")
    assert len(looks) <= 1, "each look may take as long as a database that is away is waited for"
    assert person.open("/console/threads").status_code == 200
