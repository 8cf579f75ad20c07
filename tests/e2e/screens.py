"""Every page of the console, with an address that has something to show. One that is missing here fails a test."""

from dataclasses import dataclass
from urllib.parse import quote

from tests.e2e.cast import Ada


@dataclass(frozen=True)
class Screen:
    """A page as it is opened: ``{thread}`` and the like stand for ids of Ada's things.

    ``shows``: what is there when it is whole. ``is_open``: for who is not signed in. ``is_island``: made by a script;
    without one there is what can be read.
    """

    endpoint: str
    path: str
    shows: str = "h1"
    is_open: bool = False
    is_island: bool = False

    def address(self, ada: Ada) -> str:
        """Its path, with ids."""
        path = self.path
        for name, value in ada.ids.items():
            path = path.replace(f"{{{name}}}", quote(value))
        assert "{" not in path, path
        return path


SCREENS = {
    "sign in": Screen("login", "/console/login", is_open=True),
    "password link": Screen("password", "/console/password?token=x", is_open=True),
    "start": Screen("home", "/console/"),
    "thread": Screen("threads_show", "/console/threads/{answered}", "[data-type=ai]", is_island=True),
    "thread that asks": Screen("threads_show", "/console/threads/{asks}", "[data-type=human]", is_island=True),
    "thread that failed": Screen("threads_show", "/console/threads/{failed}", "[data-type=human]", is_island=True),
    "thread with tools": Screen("threads_show", "/console/threads/{tools}", "[data-type=ai]", is_island=True),
    "new thread": Screen("threads_new", "/console/threads/new", "#workspace textarea", is_island=True),
    "not found": Screen("404", "/console/runs/00000000-0000-4000-8000-000000000000"),
}

NOT_SCREENS = {
    "static_file": "what pages are made of",
    "setup": "leads away once it is done: tests/e2e/test_setup.py",
}
"""What is under /console and is no page of a server that is set up, and why."""
