"""The store API with a real state worker, on a project that has an embedding."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.settings import Settings
from tests.conftest import GRAPHS
from tests.factories import make_app
from tests.integration.store.state_worker import WorkerBell, working

MEMORY = Path(__file__).parents[2] / "projects" / "memory" / "langgraph.json"
Put = Callable[..., None]


@pytest.fixture
def config() -> Path:
    """The project that is served."""
    return MEMORY


@pytest.fixture
def served(settings: Settings, config: Path) -> Settings:
    return settings.model_copy(update={"config": config})


@pytest.fixture
def bell(served: Settings) -> Iterator[WorkerBell]:
    with working(served) as bell:
        yield bell


@pytest.fixture
def web(served: Settings, backend: Backend) -> FlaskClient:
    """A client of the app."""
    return make_app(served, backend).test_client()


@pytest.fixture
def put(web: FlaskClient) -> Put:
    """Stores an item."""

    def put(namespace: list[str], key: str, value: Any, **more: Any) -> None:
        answer = web.put("/store/items", json={"namespace": namespace, "key": key, "value": value, **more})
        assert (answer.status_code, answer.text) == (204, "")

    return put


@pytest.fixture
def search(web: FlaskClient) -> Callable[..., list[dict[str, Any]]]:
    """Finds items."""

    def search(namespace: list[str], **more: Any) -> list[dict[str, Any]]:
        answer = web.post("/store/items/search", json={"namespace_prefix": namespace, **more})
        assert answer.status_code == 200, answer.text
        return list(answer.get_json()["items"])

    return search


without_index = pytest.mark.parametrize("config", [GRAPHS], ids=["plain"])
"""For tests of what holds without an embedding."""
