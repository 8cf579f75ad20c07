"""Measures of the processes themselves: their memory, and how long the web takes to start."""

import subprocess
import sys
import time
from contextlib import suppress
from statistics import median

from bench.http import Connection
from bench.runs import Figures
from bench.target import Target, kind_of
from deerflow.settings import ROOT
from tests.live import free_port

_LIST_IMPORTS = """
import gevent.monkey; gevent.monkey.patch_all()
import sys, gunicorn.app.wsgiapp, gunicorn.workers.ggevent, wsgi
ours = {"deerflow", "app", "wsgi", "__main__"}
print(" ".join(name for name in sys.modules if name.partition(".")[0] not in ours))
"""
_IMPORT = """
import gevent.monkey; gevent.monkey.patch_all()
import importlib, sys, contextlib
for name in sys.argv[1:]:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
"""
_READY_SECONDS = 60.0


def memory(target: Target, *, when: str) -> Figures:
    """MB of each kind of process: its own, and its part of what is shared (PSS). *when* names the figures."""
    found: Figures = {}
    for process in target.processes():
        name = f"memory {kind_of(process)} {when}, MB"
        found[name] = found.get(name, 0.0) + process.memory_full_info().pss / 1e6
    return found


def web_start(target: Target, *, times: int) -> Figures:
    """From starting gunicorn to its first answer, over importing the same third-party modules; in turns."""
    environment = {**target.environment(), "PYTHONPATH": str(ROOT)}
    listed = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, "-c", _LIST_IMPORTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    names = listed.stdout.split()
    starts, imports = [], []
    for _ in range(times):
        imports.append(_seconds_to_import(names, environment))
        starts.append(_seconds_to_answer(environment))
    return {
        "web start, s": median(starts),
        "web's bare imports, s": median(imports),
        "web start over its imports": median(starts) / median(imports),
    }


def _seconds_to_import(names: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", _IMPORT, *names], cwd=ROOT, env=environment, check=True)  # noqa: S603
    return time.perf_counter() - started


def _seconds_to_answer(environment: dict[str, str]) -> float:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--worker-class", "gevent"]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", "wsgi:application"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        while time.perf_counter() - started < _READY_SECONDS:
            with suppress(OSError):
                Connection(f"http://127.0.0.1:{port}").call("GET", "/ok")
                return time.perf_counter() - started
            time.sleep(0.005)
        raise RuntimeError("The web process did not answer")
    finally:
        process.terminate()
        process.wait(20)
