"""A secret that was made here, kept in a file that only its owner reads."""

import logging
import os
import secrets
from pathlib import Path

from deerflow.errors import ConfigError

log = logging.getLogger(__name__)


def kept(file: Path, new: str, *, kind: str) -> str:
    """The secret in *file*, which becomes *new* if it is not there. Who comes second uses the first one's.

    *kind* names it in errors and in the log, as in "webhook secret".
    """
    try:
        if not file.exists():
            _keep(file, new)
            log.info("A secret was made", extra={"kind": kind, "file": str(file)})
        found = file.read_text("ascii").strip()
    except OSError as error:
        raise ConfigError(f"The {kind} {file} cannot be kept: {error.strerror}") from error
    except UnicodeDecodeError:
        found = ""
    if not found:  # signing with nothing would be signing for everybody
        raise ConfigError(f"The {kind} {file} has nothing in it that is one: restore it, or delete the file")
    return found


def _keep(file: Path, new: str) -> None:
    """Write a new secret aside and link it into its place: there is never half of one, and never a second one."""
    file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    aside = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(new + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(aside, file)
    except FileExistsError:
        pass
    finally:
        aside.unlink(missing_ok=True)
