"""The project's own handlers and what is said over a WebSocket: each command is asked about as a request is."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from websockets.sync.client import connect

from deerflow import project
from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.runs import Run
from deerflow.graphs.handlers import Handlers
from deerflow.settings import Settings
from deerflow.storage import runs
from tests.factories import make_app
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.handlers.conftest import ADA, PROJECT
from tests.integration.identity.test_sockets import Talk
from tests.listening import listening


@pytest.fixture
def served(settings: Settings) -> Settings:
    return settings.model_copy(update={"config": PROJECT})


@pytest.fixture
def bell(served: Settings) -> AnsweringBell:
    return AnsweringBell(served.redis_url, Handlers.load(project.load(PROJECT)))


@pytest.fixture
def address(served: Settings, backend: Backend) -> Iterator[str]:
    """The host and port of the app."""
    with listening(make_app(served, backend)) as place:
        yield place


def the_run(backend: Backend, run_id: str) -> Run:
    with backend.db.read() as tx:
        return runs.get_alone(tx, ADA, UUID(run_id))


def test_each_command_is_shown_to_the_handlers_by_itself(backend: Backend, address: str) -> None:
    """What they left of the handshake, or of the command before, is not this command's."""
    url = f"ws://{address}/threads/{new_id()}/stream/events"
    with connect(url, additional_headers={"Authorization": "Bearer ada"}) as socket:
        talk = Talk(socket)
        assert talk.say("subscription.subscribe", channels=["lifecycle"])["type"] == "success"
        refused = talk.say("run.start", assistant_id="who", input={"refuse": True})
        assert (refused["type"], refused["message"][:3]) == ("error", "403")
        started = [talk.say("run.start", assistant_id="who", input={"n": n}) for n in (1, 2)]
    for n, answer in enumerate(started, start=1):
        assert answer["type"] == "success", answer
        run = the_run(backend, answer["result"]["run_id"])
        assert run.kwargs["input"] == {"n": n}
        assert run.kwargs["config"]["tags"] == ["by-handler"]
        assert run.metadata["team"] == "red"
