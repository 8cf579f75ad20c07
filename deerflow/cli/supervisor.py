"""Supervisor: starts processes, starts them again when they die, stops them all.

What it starts ends with it, however it ends: each child is killed by the kernel when its parent is gone (Linux),
and holds the data folder's lock for as long as it lives.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

_CALM_SECONDS = 10.0
"""A process that lived so long starts again at once; one that died sooner waits, twice as long each time."""
_MOST_PAUSE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One process: how to start it, and how it is doing."""

    name: str
    argv: list[str]
    worker: str = ""
    restarting: bool = False
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 0.0
    due_at: float = 0.0


class Supervisor:
    """The children of one ``serve``.

    *keep* is a descriptor for them to inherit; *say* tells the person at the terminal; *mourn* is called with the
    worker's name (each process gets one of its own, in ``DEERFLOW_WORKER_NAME``) when a process has died.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        keep: int,
        *,
        say: Callable[[str], None],
        mourn: Callable[[str], None],
    ) -> None:
        self._folder, self._environment, self._keep = folder, dict(environment), keep
        self._say, self._mourn = say, mourn
        self._children: list[Child] = []

    def start(self, name: str, argv: list[str], **once: str) -> str:
        """Start a process and keep it running from now on; its worker name. *once*: environment of this start only."""
        child = Child(name, argv)
        self._children.append(child)
        self._spawn(child, once)
        return child.worker

    def look_after(self) -> None:
        """Start again what has died; call it several times a second."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.due_at:
                    self._spawn(child, {})
            elif (code := child.process.poll()) is not None:
                self._bury(child, code, now)

    def restart(self, names: Collection[str]) -> None:
        """Ask these processes to end; they start again as soon as they have."""
        for child in self._children:
            if child.name in names and child.process is not None and child.process.poll() is None:
                child.restarting = True
                child.process.terminate()

    def has_died(self, name: str) -> bool:
        """Whether this process is not running now."""
        return any(c.name == name and (c.process is None or c.process.poll() is not None) for c in self._children)

    def stop(self, patience_seconds: float, *, last: str) -> None:
        """Ask all to end, *last* when the others have; kill what has not ended in time."""
        deadline = time.monotonic() + patience_seconds
        for group in (
            [c for c in self._children if c.name != last],
            [c for c in self._children if c.name == last],
        ):
            running = [c.process for c in group if c.process is not None and c.process.poll() is None]
            for process in running:
                process.terminate()
            for process in running:
                try:
                    process.wait(max(deadline - time.monotonic(), 0.5))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _spawn(self, child: Child, once: Mapping[str, str]) -> None:
        child.worker = f"{child.name}-{uuid4().hex[:12]}"
        child.process = subprocess.Popen(  # noqa: S603 - our own commands
            child.argv,
            cwd=self._folder,
            env={**self._environment, "DEERFLOW_WORKER_NAME": child.worker, **once},
            pass_fds=(self._keep,),
            start_new_session=True,  # Ctrl-C reaches us alone, and we decide the order
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads run here yet
        )
        child.started_at = time.monotonic()

    def _bury(self, child: Child, code: int, now: float) -> None:
        if child.restarting:
            child.restarting, child.process, child.due_at, child.pause = False, None, now, 0.0
            return
        lived = now - child.started_at
        child.pause = 0.0 if lived >= _CALM_SECONDS else min(max(child.pause * 2, 0.5), _MOST_PAUSE_SECONDS)
        child.process, child.due_at = None, now + child.pause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self._say(f"{child.name} {how}; starting it again" + (f" in {child.pause:g} s" if child.pause else ""))
        self._mourn(child.worker)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:  # the parent died before the line above
            os.kill(os.getpid(), signal.SIGTERM)
