"""Somebody with a little of everything, so that each page has something to show."""

from dataclasses import dataclass, field
from typing import Any

from langgraph_sdk import get_sync_client

from tests.browser import browser, sign_in, token_of
from tests.conftest import wait_for
from tests.live import ADMIN, Live

EMAIL, PASSWORD, NAME = "ada.lovelace@example.com", "plum ladder quartz echo", "Ada Lovelace"
QUESTIONS = {
    "answered": ("talking", "count 12 0"),
    "asks": ("talking", "ask"),
    "failed": ("talking", "fail"),
    "stopped": ("talking", "count 4000 0.05"),
    "tools": ("agentic", "Add one and two"),
}
"""Threads by what became of them: which graph was asked what."""


@dataclass
class Ada:
    """An administrator with things of her own: ``ids`` are what addresses name, ``said`` what people wrote."""

    cookies: dict[str, str]
    key: str
    ids: dict[str, str] = field(default_factory=dict)
    said: set[str] = field(default_factory=lambda: {NAME, EMAIL, *(words for _, words in QUESTIONS.values())})


def make_ada(live: Live) -> Ada:
    """Make her account, sign her in, and let her begin a few threads."""
    ada = make_account(live)
    with get_sync_client(url=live.url, api_key=ada.key) as sdk:
        for name, (graph, words) in QUESTIONS.items():
            _begin(sdk, ada, name, graph, words)
        stopped = ada.ids["stopped"], ada.ids["run of stopped"]
        wait_for(lambda: sdk.runs.get(*stopped)["status"] == "running", seconds=60, what="the run that is stopped")
        sdk.runs.cancel(*stopped, wait=True)
        for name in ("answered", "asks", "failed", "tools"):
            thread, run = ada.ids[name], ada.ids[f"run of {name}"]
            wait_for(
                lambda t=thread, r=run: sdk.runs.get(t, r)["status"] not in {"pending", "running"},
                seconds=60,
                what=name,
            )
        mine = sdk.assistants.create("talking", name="Counting house", description="Counts for those who ask.")
        ada.ids["assistant"] = mine["assistant_id"]
        ada.said |= {"Counting house", "Counts for those who ask."}
    return ada


def make_account(live: Live) -> Ada:
    """Her account, in which she has signed in and made an API key."""
    user_id = _invited(live)
    with browser(live.url) as opened:
        assert sign_in(opened, EMAIL, PASSWORD).is_success
        key = opened.post("/api/v1/auth/keys", json={"name": "notebook"}, headers=token_of(opened)).json()
        return Ada(dict(opened.cookies), key["key"], {"user": user_id, "key": key["key_id"]})


def _invited(live: Live) -> str:
    """An account whose owner has set the password, as its link lets them; the user's id."""
    with browser(live.url) as admin:
        assert sign_in(admin, *ADMIN).is_success
        asked = {"email": EMAIL, "name": NAME, "role": "admin"}
        made: dict[str, Any] = admin.post("/api/v1/auth/users", json=asked, headers=token_of(admin)).json()
    with browser(live.url) as herself:
        token = {"X-CSRFToken": herself.get("/api/v1/auth/csrf").json()["csrf_token"]}
        chosen = {"token": made["reset_token"], "password": PASSWORD}
        told = herself.post("/api/v1/auth/reset-password", json=chosen, headers=token)
        assert told.is_success, told.text
    return str(made["user_id"])


def _begin(sdk: Any, ada: Ada, name: str, graph: str, words: str) -> None:
    thread = sdk.threads.create()["thread_id"]
    asked = {"messages": [{"type": "human", "content": words}]}
    run = sdk.runs.create(thread, graph, input=asked, stream_mode="messages-tuple")  # else it says all at once
    ada.ids[name], ada.ids[f"run of {name}"] = thread, run["run_id"]
