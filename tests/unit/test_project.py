"""langgraph.json: what it may say, and what it is told when it says it wrong."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from deerflow import project
from deerflow.errors import ConfigError


def _write(folder: Path, content: Any) -> Path:
    path = folder / "langgraph.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_graphs_in_both_spellings(tmp_path: Path) -> None:
    """A target alone, or a path with a description; by file and by module."""
    graphs = {"a": "./a.py:graph", "b": {"path": "pkg.mod:make", "description": "told"}}
    found = project.load(_write(tmp_path, {"graphs": graphs, "dependencies": ["."], "env": ".env"}))
    assert found.graphs["a"] == project.GraphSource("a", "./a.py:graph")
    assert found.graphs["b"] == project.GraphSource("b", "pkg.mod:make", "told")
    assert (found.folder, found.dependencies, found.env) == (tmp_path, ["."], ".env")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is not valid JSON"),
        ("[]", 'needs an object "graphs"'),
        ({}, 'needs an object "graphs"'),
        ({"graphs": {}}, 'needs an object "graphs"'),
        ({"graphs": {"a": "./a.py"}}, 'graph "a" must look like'),
        ({"graphs": {"a": 5}}, 'graph "a" must look like'),
        ({"graphs": {"a": {"description": "no path"}}}, 'graph "a" must look like'),
        ({"graphs": {"a": "./a.py:g"}, "http": [1]}, '"http" must be an object'),
        ({"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": ["x"]}}, "must be an object with"),
        (
            {"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": {"include": "x"}}},
            r"configurable_headers\.include\" must be a list",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, told: str) -> None:
    path = _write(tmp_path, content)
    with pytest.raises(ConfigError, match=told) as raised:
        project.load(path)
    assert str(path) in str(raised.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Name your langgraph\.json with --config"):
        project.load(tmp_path / "none.json")


def test_keys_without_effect_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key of a later release and an unknown one are warned about; those for building images are not."""
    http = {"configurable_headers": {"include": ["x-a"]}, "cors": {}}
    content = {"graphs": {"a": "./a.py:g"}, "auth": {}, "grpahs": {}, "python_version": "3.11", "http": http}
    with caplog.at_level(logging.WARNING):
        project.load(_write(tmp_path, content))
    assert {record.key for record in caplog.records} == {"auth", "grpahs", "http.cors"}


@pytest.mark.parametrize("spelling", ["{}", "{}s"])
def test_header_rule(tmp_path: Path, spelling: str) -> None:
    """In both spellings that are about; names are compared in lower case."""
    rule = {spelling.format("include"): ["X-Foo*"], spelling.format("exclude"): ["x-foo-Secret"]}
    found = project.load(_write(tmp_path, {"graphs": {"a": "./a.py:g"}, "http": {"configurable_headers": rule}}))
    assert found.configurable_headers == project.HeaderRule(include=("x-foo*",), exclude=("x-foo-secret",))
