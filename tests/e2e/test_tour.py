"""The pictures of docs/tour.md. ``--write-tour`` takes them anew, of a server with the example's agent."""

import re
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_sync_client
from selenium.webdriver import Chrome

from tests.conftest import wait_for
from tests.e2e.cast import Ada, make_account
from tests.e2e.conftest import forget, give
from tests.e2e.page import Page
from tests.e2e.watched import Watched
from tests.live import ROOT, Live

PAGE, FOLDER = ROOT / "docs" / "tour.md", ROOT / "docs" / "tour"
MOST, MOST_BYTES = 10, 150_000
SAID = {
    "written": ("write file drafts/plan.md: Ask three people what they need", "list files"),
    "searched": ("search for streams",),
    "asks": ("write file drafts/old.md: Last year's plan", "delete file drafts/old.md"),
    "calculated": ("calculate 2*(3+4)", "search for checkpoints"),
}
"""What the example's agent is asked, by thread."""
PICTURES = {
    "threads": ("/console/threads", "td"),
    "thread": ("/console/threads/{calculated}", "[data-type=ai]"),
    "approval": ("/console/threads/{asks}", "[data-type=human]"),
    "approvals": ("/console/approvals", "main"),
    "runs": ("/console/runs", "td"),
    "run": ("/console/runs/{run of calculated}", ".timeline"),
    "agent": ("/console/agents/{agent}", "svg"),
    "keys": ("/console/keys", "#key-list"),
    "system": ("/console/system", "td"),
}


def test_the_tour_shows_its_pictures(request: pytest.FixtureRequest) -> None:
    """Each of them, none twice or missing, none so large that a page with all of them is slow."""
    if request.config.getoption("--write-tour"):
        take(request.getfixturevalue("browser"), request.getfixturevalue("tmp_path"))
    sizes = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert sorted(re.findall(r"\]\(tour/(.+?)\)", PAGE.read_text())) == sorted(sizes)
    assert set(sizes) == {f"{name}.png" for name in PICTURES}
    assert len(sizes) <= MOST
    assert {name for name, size in sizes.items() if size > MOST_BYTES} == set()


def take(browser: Chrome, folder: Path) -> None:
    """Take them all."""
    live = Live(folder, ROOT / "examples" / "deerflow" / "langgraph.json", auth="accounts")
    live.start()
    try:
        with Watched(browser, live.url):
            page = Page(browser, live.url)
            ada = talked(live)
            give(page, ada.cookies)
            FOLDER.mkdir(exist_ok=True)
            with page.as_seen_on(1280, 800):
                for name, (path, shows) in PICTURES.items():
                    page.open(path.format_map(ada.ids)).until(lambda shows=shows: page.has(shows))
                    page.until(lambda: page.run("return document.readyState") == "complete")
                    page.run("return new Promise((done) => setTimeout(done, 700))")  # what fades in
                    browser.save_screenshot(str(FOLDER / f"{name}.png"))
            page.open("/console/login")
    finally:
        forget(browser, live.url)
        live.stop()


def talked(live: Live) -> Ada:
    """Somebody who has talked with the example's agent."""
    ada = make_account(live)
    with get_sync_client(url=live.url, api_key=ada.key) as sdk:
        ada.ids["agent"] = sdk.assistants.search(graph_id="agent")[0]["assistant_id"]
        for name, words in SAID.items():
            ada.ids[name] = sdk.threads.create()["thread_id"]
            for each in words:
                ada.ids[f"run of {name}"] = said(sdk, ada.ids[name], each)
    return ada


def said(sdk: Any, thread: str, words: str) -> str:
    """The id of the run that answered this."""
    asked = {"messages": [{"role": "user", "content": words}]}
    run = sdk.runs.create(thread, "agent", input=asked, stream_mode=["messages-tuple", "values"])["run_id"]
    wait_for(lambda: sdk.runs.get(thread, run)["status"] not in {"pending", "running"}, seconds=60, what=words)
    return str(run)
