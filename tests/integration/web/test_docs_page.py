"""/docs: the OpenAPI document for people."""

import re

import pytest
from flask import Flask

from deerflow.api.mounts import Mount
from deerflow.api.openapi import document
from deerflow.web.docs import kind, prose
from tests.integration.api.conftest import by_mount


@by_mount
def test_it_tells_every_operation_and_loads_nothing_from_elsewhere(accounts_app: Flask, mount: Mount) -> None:
    """To anybody; under a policy that allows no script."""
    answer = accounts_app.test_client().get(f"{mount.prefix}/docs")
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    told = document(accounts_app)["paths"]
    for path, item in told.items():
        for method in item:
            if not f"{path}/".startswith("/api/") or path.startswith("/api/v1/"):
                assert f"<code><b>{method.upper()}</b> {path}</code>" in answer.text
    assert not re.search(r"<script|https?://|//\w", answer.text)


def test_every_shape_that_is_linked_is_there(accounts_app: Flask) -> None:
    text = accounts_app.test_client().get("/docs").text
    linked, there = set(re.findall(r'href="#(shape-\w+)"', text)), set(re.findall(r'id="(shape-\w+)"', text))
    assert linked
    assert linked <= there


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        ({"type": "string", "format": "uuid"}, "string (uuid)"),
        ({"type": "integer", "minimum": 1, "maximum": 9, "default": 0}, "integer, at least 1, at most 9, default 0"),
        ({"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}, "string, at most 5 characters or null"),
        ({"enum": ["a", "<b>"]}, "<code>a</code> or <code>&lt;b&gt;</code>"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/A"}}, 'list of <a href="#shape-A">A</a>'),
    ],
)
def test_values_in_words(schema: dict[str, object], words: str) -> None:
    assert str(kind(schema)) == words


def test_what_is_quoted_is_code() -> None:
    """One backtick or two; and nothing of it is markup."""
    told = "`a` or ``b|c``; <b>"
    assert str(prose(told)) == "<code>a</code> or <code>b|c</code>; &lt;b&gt;"
