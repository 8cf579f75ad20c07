"""Every page of the console, with an address that has something to show. One that is missing here fails a test."""

from dataclasses import dataclass
from urllib.parse import quote

from tests.e2e.cast import Ada


@dataclass(frozen=True)
class Screen:
    """A page as it is opened: ``{thread}`` and the like stand for ids of Ada's things.

    ``shows``: what is there when it is whole. ``site``: which server has it; all but ``shared`` are for who is not
    signed in. ``is_island``: made by a script; without one there is what can be read.
    """

    endpoint: str
    path: str
    shows: str = "h1"
    site: str = "shared"
    is_island: bool = False

    def address(self, ada: Ada) -> str:
        """Its path, with ids."""
        path = self.path
        for name, value in ada.ids.items():
            path = path.replace(f"{{{name}}}", quote(value))
        assert "{" not in path, path
        return path


SCREENS = {
    "set-up, where the link is": Screen("setup", "/console/setup", site="new"),
    "set-up": Screen("setup", "/console/setup?token={token}", "form", site="new"),
    "register": Screen("register", "/console/register", "form", site="open"),
    "sign in": Screen("login", "/console/login", "form", site="open"),
    "password link": Screen("password", "/console/password?token=x", site="open"),
    "threads": Screen("threads", "/console/threads", ".row-link"),
    "no thread matches": Screen("threads", "/console/threads?q=nothing+like+it", ".empty"),
    "thread": Screen("threads_show", "/console/threads/{answered}", "[data-type=ai]", is_island=True),
    "thread that asks": Screen("threads_show", "/console/threads/{asks}", "[data-type=human]", is_island=True),
    "thread that failed": Screen("threads_show", "/console/threads/{failed}", "[data-type=human]", is_island=True),
    "thread with tools": Screen("threads_show", "/console/threads/{tools}", "[data-type=ai]", is_island=True),
    "new thread": Screen("threads_new", "/console/threads/new", "#workspace textarea", is_island=True),
    "runs": Screen("runs", "/console/runs", "#list tbody tr"),
    "no such runs": Screen("runs", "/console/runs?status=waiting", ".empty"),
    "run": Screen("runs_one", "/console/runs/{run of answered}", ".timeline"),
    "run that failed": Screen("runs_one", "/console/runs/{run of failed}", ".failure"),
    "run that was stopped": Screen("runs_one", "/console/runs/{run of stopped}"),
    "approvals": Screen("approvals", "/console/approvals"),
    "approval": Screen("approvals_one", "/console/approvals/{asks}", "form"),
    "agents": Screen("agents", "/console/agents"),
    "agent": Screen("agents_one", "/console/agents/{assistant}", "svg"),
    "new agent": Screen("agents_new", "/console/agents/new?graph=talking", "form"),
    "agent, changed": Screen("agents_edit", "/console/agents/{assistant}/edit", "form"),
    "account": Screen("account", "/console/account", "form"),
    "keys": Screen("keys", "/console/keys", "#key-list"),
    "new key": Screen("keys_new", "/console/keys/new", "form"),
    "users": Screen("users", "/console/users", "td"),
    "invite": Screen("users_invite", "/console/users/invite", "form"),
    "user": Screen("users_one", "/console/users/{user}"),
    "system": Screen("system", "/console/system"),
    "audit": Screen("audit", "/console/audit", "td"),
    "not found": Screen("404", "/console/runs/00000000-0000-4000-8000-000000000000"),
}

NOT_SCREENS = {
    "home": "leads to the threads",
    "static_file": "what pages are made of",
    "threads_json": "a file",
    "threads_markdown": "a file",
    "audit_export": "a file",
    "approvals_count": "a number",
    "approvals_value": "text",
}
"""What is under /console and is no page, and why."""
