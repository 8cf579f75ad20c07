"""The secret: made once for all processes of a machine, required where several machines would have to agree."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deerflow.auth.secret import secrets_in_force
from deerflow.errors import ConfigError
from deerflow.settings import ROOT, Settings

ONE, OTHER = "the-first-of-two-secrets-of-this-test", "the-second-of-two-secrets-of-this-test"
SCRIPT = """
import sys
from deerflow.auth.secret import secrets_in_force
from deerflow.settings import Settings
settings = Settings.from_env()
sys.stdin.readline()
print(*secrets_in_force(settings))
"""


def test_many_processes_make_one_secret(tmp_path: Path) -> None:
    """scenario 47: eight that start at once agree, and it is kept for its owner alone."""
    environment = {**os.environ, "DATABASE_URL": "", "DEERFLOW_SECRET": "", "DEERFLOW_DATA": str(tmp_path / "data")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, **pipes) for _ in range(8)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    made = {process.communicate(timeout=280)[0].strip() for process in started}
    assert len(made) == 1
    assert len(made.pop()) >= 48
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret"], "nothing is left beside it"


def test_it_stays_what_it_is(tmp_path: Path) -> None:
    """scenario 47: a restart ends no session."""
    settings = Settings(data=tmp_path, database_url="", secret="")
    assert secrets_in_force(settings) == secrets_in_force(settings)


def test_the_first_of_several_signs(tmp_path: Path) -> None:
    assert secrets_in_force(Settings(data=tmp_path, secret=f"{ONE} {OTHER}")) == [ONE, OTHER]
    assert list(tmp_path.iterdir()) == [], "a secret that is set is not kept"


def test_short_or_missing_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 32 characters"):
        secrets_in_force(Settings(data=tmp_path, secret=f"{ONE} short"))
    with pytest.raises(ConfigError, match="needs DEERFLOW_SECRET"):
        secrets_in_force(Settings(data=tmp_path, database_url="postgresql://db/x", secret=""))


def test_a_kept_secret_that_was_cut_short_signs_nothing(tmp_path: Path) -> None:
    """With half of one anybody could find the other half, and make the link that sets a password."""
    (tmp_path / "secret").write_text("short")
    with pytest.raises(ConfigError, match="too short"):
        secrets_in_force(Settings(data=tmp_path, database_url="", secret=""))


def test_a_folder_that_cannot_keep_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be kept"):
        secrets_in_force(Settings(data=tmp_path / "file", secret=""))


@pytest.mark.parametrize("left", [b"", b"\n", b"\xff\xfe\x00"])
def test_a_file_without_a_secret_signs_nothing(tmp_path: Path, left: bytes) -> None:
    """As a full disk or half a copy leaves one: with an empty secret anybody could sign."""
    (tmp_path / "secret").write_bytes(left)
    with pytest.raises(ConfigError, match=f"{tmp_path / 'secret'} has nothing in it"):
        secrets_in_force(Settings(data=tmp_path, database_url="", secret=""))


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    settings = Settings(data=tmp_path, database_url="", secret="")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="cannot be kept: No space left on device"):
            secrets_in_force(settings)
    assert list(tmp_path.iterdir()) == []
    assert secrets_in_force(settings)


def test_a_file_that_is_no_text_is_one_sentence_without_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    monkeypatch.delenv("DEERFLOW_SECRET", raising=False)
    monkeypatch.setenv("DEERFLOW_SECRET_FILE", str(tmp_path / "key"))
    with pytest.raises(ConfigError, match=r"^DEERFLOW_SECRET_FILE: .* is no text in UTF-8$"):
        Settings.from_env()
