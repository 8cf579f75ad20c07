"""Servers before anybody has an account there, as the shared one never is again: our app in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import create_app
from deerflow.auth import links
from deerflow.runtime.boot import boot
from deerflow.runtime.set_up import open_set_up
from deerflow.settings import Settings
from tests.conftest import GRAPHS
from tests.databases import Databases
from tests.factories import make_administrator
from tests.listening import listening

_SECRET = "a-secret-that-only-these-tests-know-and-nobody-else"


@contextmanager
def before(databases: Databases, valkey: str, folder: Path, *, is_set_up: bool) -> Iterator[tuple[str, str]]:
    """One that waits to be set up, or one that lets strangers make accounts; its origin, and the token of its link."""
    settings = Settings(
        database_url=databases.fresh("sqlite", folder),
        redis_url=valkey,
        data=folder,
        config=GRAPHS,
        auth="accounts",
        secret=_SECRET,
        registration=True,
    )
    app = create_app(settings)
    backend = app.extensions["deerflow"]
    boot(backend)
    waiting = open_set_up(backend)
    token = links.set_up_path([_SECRET], waiting).partition("token=")[2] if waiting else ""
    if is_set_up:
        make_administrator(backend)
    with listening(app) as place:
        yield f"http://{place}", token
    backend.close()
