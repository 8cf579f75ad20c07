"""A thread's files: one folder a thread, and no way out of it.

Every folder on the way to a file is opened from the one before it without following links (``openat`` with
``O_NOFOLLOW``), so that neither ``..`` nor a link, not even one that appears meanwhile, leads anywhere else.
A file is written beside its place and moved there, so that readers see the old text or the new.
"""

import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from langchain_core.tools import ToolException

from lead_agent.config import WorkspaceLimits

_THREAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NAME = re.compile(r"\w[\w .+@-]*")  # no leading dot: neither "..", nor hidden files, which are ours
_MOST_NAME_BYTES = 200
_MOST_DEPTH = 8
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def parse_path(path: str) -> tuple[str, ...]:
    """The names on the way to a file; ToolException when *path* is not a plain relative path."""
    parts = tuple(path.removeprefix("./").split("/"))
    if len(parts) > _MOST_DEPTH:
        raise ToolException(f"A path has at most {_MOST_DEPTH} parts")
    for part in parts:
        if not _NAME.fullmatch(part) or len(part.encode()) > _MOST_NAME_BYTES:
            raise ToolException(f"{path!r} is not a path inside the workspace, such as drafts/plan.md")
    return parts


@dataclass(frozen=True)
class Workspace:
    """The files of one thread. Everything here blocks; call it in a thread."""

    thread_id: str
    limits: WorkspaceLimits

    def __post_init__(self) -> None:
        if not _THREAD_ID.fullmatch(self.thread_id):
            raise ToolException("Files belong to a thread, and this run has none")

    def sizes(self) -> dict[str, int]:
        """Every file's path and size in bytes."""
        found = {}
        with _told("the workspace"), suppress(FileNotFoundError), self._folder(("",)) as top:
            for folder, _, names, fd in os.fwalk(".", dir_fd=top):
                for name in sorted(names):
                    info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode) and not name.startswith("."):
                        found[os.path.normpath(f"{folder}/{name}")] = info.st_size
        return dict(sorted(found.items()))

    def read(self, path: str) -> str:
        """The text of a file."""
        parts = parse_path(path)
        with _told(path), self._folder(parts) as folder:
            fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise ToolException(f"{path} is not a file")
                data = file.read(self.limits.max_file_bytes + 1)
        self._check_size(path, data)
        return data.decode("utf-8", "replace")

    def write(self, path: str, text: str) -> None:
        """Make a file, or replace its text."""
        parts, data = parse_path(path), text.encode("utf-8", "replace")
        self._check_size(path, data)
        sizes = self.sizes()
        if "/".join(parts) not in sizes and len(sizes) >= self.limits.max_files:
            raise ToolException(f"A workspace has at most {self.limits.max_files} files")
        with _told(path), self._folder(parts, create=True) as folder:
            partial = f".{uuid.uuid4().hex}"
            fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                    file.write(data)
                os.rename(partial, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(partial, dir_fd=folder)
                raise

    def delete(self, path: str) -> bool:
        """Remove a file; False when it is gone already."""
        parts = parse_path(path)
        with _told(path), suppress(FileNotFoundError), self._folder(parts) as folder:
            os.unlink(parts[-1], dir_fd=folder)
            return True
        return False

    def _check_size(self, path: str, data: bytes) -> None:
        if len(data) > self.limits.max_file_bytes:
            raise ToolException(f"{path}: a file has at most {self.limits.max_file_bytes:,} bytes")

    @contextmanager
    def _folder(self, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """A descriptor of the folder that the last of *parts* is in."""
        if create:
            self.limits.root.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.limits.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in (self.thread_id, *parts[:-1]):
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=fd)
                inner = os.open(part, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What the system says about a file, said to the model; never a path outside the workspace."""
    try:
        yield
    except FileNotFoundError:
        raise ToolException(f"There is no file {path}") from None
    except OSError as error:
        raise ToolException(f"{path}: {error.strerror}") from None
