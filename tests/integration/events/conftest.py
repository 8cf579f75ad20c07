"""Fixtures of the event tests: an emptied Valkey, and one of their own that they may kill."""

import os
import signal
import subprocess

import pytest
from redis.exceptions import RedisError

from deerflow.domain.ids import new_id
from deerflow.events import embedded
from deerflow.events.connections import connect
from deerflow.events.log import RunLog
from tests.conftest import wait_for


class OwnValkey:
    """A Valkey that a test may stop, freeze and start again; its data stay."""

    def __init__(self, folder):
        self.socket = folder / "own.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._process = None

    def start(self):
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(embedded.command(self._folder, self.socket))
        client = connect(self.url)
        wait_for(lambda: self._answers(client), what="Valkey")
        client.close()

    def kill(self):
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def keep(self):
        """Return when all that it has said yes to is on its disk: until then a kill may take the last of it."""
        with connect(self.url).client() as client:
            client.set("kept", 1)
            assert client.execute_command("WAITAOF", 1, 0, 0)[0] == 1

    def freeze(self):
        """It is there, and says nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self):
        """It goes on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def _answers(self, client):
        try:
            return client.ping()
        except RedisError:
            return False


@pytest.fixture
def own_valkey(tmp_path):
    """A Valkey of this test alone."""
    own = OwnValkey(tmp_path)
    try:
        own.start()
        yield own
    finally:
        own.kill()


@pytest.fixture
def redis(valkey):
    """A client of the shared Valkey, emptied."""
    client = connect(valkey)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def log(redis, valkey):  # noqa: ARG001 - emptied first
    """A reader of logs, as the web process has it."""
    reader = RunLog(connect(valkey))
    yield reader
    reader.close()


@pytest.fixture
def run_id():
    """A run that has said nothing yet."""
    return new_id()
