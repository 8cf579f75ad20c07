"""What follows from the settings for the process."""

from pathlib import Path

import pytest

from deerflow.settings import ROOT, Settings, flask_command


@pytest.mark.parametrize(
    ("environment", "begins"),
    [(ROOT / ".venv", ".venv/bin/flask --app app"), ("/usr", "flask --app app"), ("/srv/.venv", "flask --app app")],
)
def test_our_commands_begin_as_they_can_be_pasted_in_the_checkout(environment: Path | str, begins: str) -> None:
    assert flask_command(str(environment)) == begins


def test_the_project_may_be_named_by_its_folder(tmp_path: Path) -> None:
    """Also when there is no langgraph.json in it: that is told of the file."""
    file = tmp_path / "langgraph.json"
    assert Settings(config=tmp_path).project_file == file
    assert Settings(config=file).project_file == file
