"""From langgraph.json to a store that finds by meaning: the upgrade prepares it, workers open it, or say why not."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deerflow.backend import WorkerBackend, open_worker
from deerflow.cli.db import upgrade
from deerflow.errors import ConfigError
from deerflow.graphs.embedding import EmbeddingFailed
from deerflow.settings import Settings
from tests.integration.store.conftest import MEMORY


@pytest.fixture
def bell() -> None:
    """No worker but those that a test opens."""


def project(settings: Settings, **index: Any) -> Settings:
    """Settings of a project of which only the index counts."""
    path = settings.data / "langgraph.json"
    found = {"dims": 3, "embed": f"{MEMORY.parent}/embed.py:embed", **index}
    noting = Path(MEMORY.parent, "../../graphs/noting.py:graph")
    path.write_text(json.dumps({"graphs": {"noting": str(noting)}, "store": {"index": found}}))
    return settings.model_copy(update={"config": path})


def opened(settings: Settings, act: Any = None) -> None:
    async def body() -> None:
        async with open_worker(settings, user_code=True) as backend:
            await (act(backend) if act else asyncio.sleep(0))

    asyncio.run(body())


def test_an_upgrade_prepares_the_index(settings: Settings) -> None:
    """Where items were before, too; it may be done again. Another length of vectors is refused, in one sentence."""

    async def before(backend: WorkerBackend) -> None:
        await backend.savers.store("me").aput(("c",), "old", {"text": "red"})

    async def after(backend: WorkerBackend) -> None:
        store = backend.savers.store("me")
        await store.aput(("c",), "new", {"text": "red"})
        assert [item.key for item in await store.asearch(("c",), query="red")] == ["new"]
        assert [item.key for item in await store.asearch(("c",))] == ["new", "old"]

    opened(settings, before)
    indexed = project(settings)
    if settings.database.startswith("postgres"):
        with pytest.raises(ConfigError, match="to be prepared: db upgrade"):
            opened(indexed)
    for _ in range(2):
        upgrade(indexed)
    opened(indexed, after)
    for start in (upgrade, opened):
        with pytest.raises(ConfigError, match=r"dims is 4, but the items here were embedded with 3: put it back"):
            start(project(settings, dims=4))


@pytest.mark.parametrize(
    ("embed", "told"),
    [
        ("./nowhere.py:embed", "nowhere.py does not exist"),
        (f"{MEMORY.parent}/embed.py:nothing", "has no attribute 'nothing'"),
        ("nobody:model", "store.index.embed \\(nobody:model\\)"),
    ],
    ids=["file", "attribute", "provider"],
)
def test_an_embedding_that_cannot_be_imported_refuses_only_what_needs_it(
    settings: Settings, embed: str, told: str
) -> None:
    """``serve`` does not start; a deployed worker goes on without."""
    broken = project(settings, embed=embed).model_copy(update={"graphs_must_import": True})
    upgrade(broken)
    with pytest.raises(ConfigError, match=told):
        opened(broken)

    async def act(backend: WorkerBackend) -> None:
        store = backend.savers.store("me")
        with pytest.raises(EmbeddingFailed, match="could not be imported"):
            await store.aput(("c",), "k", {"text": "red"})
        await store.aput(("c",), "k", {"text": "red"}, index=False)
        assert [item.key for item in await store.asearch(())] == ["k"]

    opened(broken.model_copy(update={"graphs_must_import": False}), act)
