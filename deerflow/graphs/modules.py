"""A project's own modules: where they are found, and what ``langgraph.json`` names in them. No LangGraph here."""

import importlib
import importlib.util
import logging
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from deerflow.errors import ConfigError
from deerflow.project import Project

log = logging.getLogger(__name__)

_OURS = ("app", "wsgi", "celeryconfig", "tasks", "deerflow", "migrations", "tests")
"""Top-level names of this server, which agent repositories like to use as well."""


def make_importable(project: Project) -> None:
    """Let a project's modules be found, before all others."""
    _give_way(_extend_path(project))


def load_target(project: Project, target: str, *, kind: str) -> Any:
    """What ``file.py:attribute`` or ``package.module:attribute`` of a project names; *kind* tells its modules apart.

    ConfigError when it names nothing; else what the module raises, an ImportError where that would end the process.
    """
    where, _, attribute = target.rpartition(":")
    by_path = where.endswith(".py") or "/" in where
    try:
        module = _load_file(project, kind, where) if by_path else importlib.import_module(where)
    except SystemExit as error:  # a script without a main guard
        raise ImportError(f"it calls sys.exit({error.code!r}) while it is imported") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{where} has no attribute {attribute!r}") from None


def _extend_path(project: Project) -> list[Path]:
    """Make the project's own modules importable, before all others: its folder and its local dependencies."""
    local = [project.folder / entry for entry in project.dependencies if entry.startswith((".", "/"))]
    folders = [folder.resolve() for folder in (project.folder, *local)]
    for folder in reversed(folders):
        if str(folder) not in sys.path[: len(folders)]:
            sys.path.insert(0, str(folder))
    return folders


def _give_way(folders: list[Path]) -> None:
    """Let the project's modules have names that are ours too.

    Ours are imported by now, and what they need of each other they hold; so they can leave ``sys.modules``, and who
    imports such a name from now on finds the project's. (So functions of ours that run after this must not import.)
    """
    for name in _OURS:
        if any((folder / name).is_dir() or (folder / f"{name}.py").exists() for folder in folders):
            log.info(
                "The project has a module named like one of the server's; the project's is used",
                extra={"shadowed": name},
            )
            for loaded in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
                del sys.modules[loaded]


def _load_file(project: Project, kind: str, where: str) -> ModuleType:
    path = (project.folder / where).resolve()
    name = re.sub(r"\W", "_", f"{kind}_{path.stem}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConfigError(f"{path} does not exist")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
