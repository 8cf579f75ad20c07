"""Answers are what ``/openapi.json`` says: a client of the app looks at each; ``Told.check`` is for any other."""

import re
from functools import cache
from typing import Any

import jsonschema_rs
import orjson
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.openapi import document

_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
_DEFECT = 500
"""Which no route announces; the tests that make one know why."""
_NOT_FOUND, _NO_ROUTE = 404, b'{"detail":"Not Found"}'
_ARGUMENT = re.compile(r"{\w+}")
_SHARED: dict[tuple[frozenset[str], frozenset[str]], "Told"] = {}


class Told:
    """One document, and whether answers are as it says."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        paths = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self._paths = [(_pattern(path), operations) for path, operations in paths]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What is told of a method and path; None where nothing is."""
        found = (operations for pattern, operations in self._paths if pattern.fullmatch(path))
        told: dict[str, dict[str, Any]] = next(found, {})
        return told.get(method.lower())

    def check(self, method: str, path: str, status: int, kind: str, body: bytes | None) -> None:
        """Raise AssertionError for an answer that is not told. *body* None: it is not looked at."""
        operation = self.operation(method, path)
        if operation is None:
            return
        about = f"{method} {path} answers {status} {kind}"
        if status == _NOT_FOUND and body == _NO_ROUTE:  # under another prefix, or switched off
            return
        told = operation["responses"].get(str(status))
        assert told is not None, f"{about}: {sorted(operation['responses'])} are told"
        content = told.get("content", {})
        if not content:
            assert not body, f"{about} and a body"
            return
        assert kind in content, f"{about}: {sorted(content)} are told"
        if kind == "application/json" and body is not None:
            wrong = self._wrong(orjson.dumps(content[kind]["schema"]), orjson.loads(body))
            assert wrong is None, f"{about}: {wrong}"

    @cache  # noqa: B019 - one document, as long as the tests run
    def _validator(self, schema: bytes) -> Any:
        whole = {**orjson.loads(schema), "components": self._document["components"]}
        return jsonschema_rs.validator_for(whole, validate_formats=True)

    def _wrong(self, schema: bytes, value: Any) -> str | None:
        errors = self._validator(schema).iter_errors(value)
        return next((f"{list(error.instance_path)}: {error.message[:500]}" for error in errors), None)


class CheckingClient(FlaskClient):
    """A client whose every answer is checked, but for what comes bit by bit."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Call, and look at the answer."""
        answer = super().open(*args, **kwargs)
        method, path = answer.request.method, answer.request.path
        if method in _METHODS and answer.status_code != _DEFECT:
            is_whole = answer.content_length is not None
            _told(self.application).check(
                method, path, answer.status_code, answer.mimetype, answer.get_data() if is_whole else None
            )
        return answer


def _told(app: Flask) -> Told:
    """All apps of the same routes share their document: to make it takes as long as a test."""
    found = app.extensions.get("tests.told")
    if found is None:
        rules = (f"{rule.rule} {sorted(rule.methods or ())}" for rule in app.url_map.iter_rules())
        routes = (frozenset(rules), app.config["DEERFLOW_DISABLED"])
        if routes not in _SHARED:
            _SHARED[routes] = Told(orjson.loads(orjson.dumps(document(app))))
        found = app.extensions["tests.told"] = _SHARED[routes]
    assert isinstance(found, Told)
    return found


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in _ARGUMENT.split(path)))
