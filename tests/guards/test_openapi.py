"""/openapi.json tells what is there, and what is there is told."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from pydantic import BaseModel, TypeAdapter

from app import create_app
from deerflow.api.describe import description_of
from deerflow.api.openapi import document
from deerflow.authz import PUBLIC
from deerflow.settings import ROOT, Settings
from tests.conftest import GRAPHS

_TAKES_A_BODY = re.compile(r"\b(\w+)\.(?:read|check)\(")
_QUERIED = re.compile(r"""(?:args\.get\(|args\.getlist\(|args\[|number\(request, |many\(request, )"(\w+)\"""")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app, connected to nothing."""
    app = create_app(Settings(data=tmp_path_factory.mktemp("nothing"), config=GRAPHS, auth="none"))
    yield app
    app.extensions["deerflow"].close()


@pytest.fixture(scope="module")
def told(app: Flask) -> dict[str, Any]:
    """The document as a client reads it."""
    answer = app.test_client().get("/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.get_json()
    return document


def operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in told["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_it_has_the_routes_that_are_there(app: Flask, told: dict[str, Any]) -> None:
    """Each with its permission, both ways; pages are for people."""
    there = {
        (method, re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule), app.view_functions[rule.endpoint].permission)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith("/console") and rule.rule not in {"/login", "/setup", "/docs", "/api/docs"}
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path, operation["x-permission"]) for method, path, operation in operations(told)} == there
    assert document(app) == told


def test_each_operation_is_told_whole(told: dict[str, Any]) -> None:
    """A summary, an id of its own, its path's parameters, who may, and what comes back."""
    ids = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(ids) == len(set(ids))
    for method, path, operation in operations(told):
        assert operation["summary"].endswith("."), (method, path)
        of_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert of_path == set(re.findall(r"{(\w+)}", path))
        assert (operation["security"] == []) is (operation["x-permission"] == PUBLIC), (method, path)
        asks_for_token = {"session": [], "csrf": []} in operation["security"]
        assert asks_for_token is (method != "GET" and operation["x-permission"] != PUBLIC), (method, path)
        assert ("401" in operation["responses"]) >= (operation["x-permission"] != PUBLIC), (method, path)


def test_every_body_is_told(app: Flask) -> None:
    """A view whose code reads a shape declares it, and no other."""
    for name, view in app.view_functions.items():
        read = set(_TAKES_A_BODY.findall(inspect.getsource(inspect.unwrap(view))))
        shapes = {each for each in read if each[0].isupper()}
        body = description_of(view).body
        if shapes and not name.startswith("console."):
            assert body is not None, name
            assert shapes <= set(re.findall(r"\w+", str(body))), name


def test_every_answer_is_told(app: Flask, told: dict[str, Any]) -> None:
    """It has a schema or a media type, or no body at all (204); 101, 202, 302 and 304 never have one."""
    for method, path, operation in operations(told):
        good = {status: each for status, each in operation["responses"].items() if int(status) < 400}
        assert good, (method, path)
        for status, response in good.items():
            assert ("content" in response) is (status not in {"101", "202", "204", "302", "304"}), (
                method,
                path,
                status,
            )
    for view in app.view_functions.values():
        if (answer := description_of(view).answer) is not None:
            TypeAdapter(answer)


def test_every_query_is_told(app: Flask) -> None:
    """What a view reads from behind the ``?`` itself, it declares; and nothing is declared that is read nowhere."""
    read_anywhere = set(_QUERIED.findall("".join(path.read_text() for path in (ROOT / "deerflow").rglob("*.py"))))
    read_anywhere |= {"limit", "offset", "actor", "action", "since"}
    for name, view in app.view_functions.items():
        if name.startswith(("console.", "to_")):
            continue
        source, query = inspect.getsource(inspect.unwrap(view)), description_of(view).query
        told = set(query.model_fields) if query else set()
        read = set(_QUERIED.findall(source)) | ({"limit", "offset"} if "page_wanted(" in source else set())
        assert read <= told <= read_anywhere, name


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    schemas = set(told["components"]["schemas"])
    used = set(re.findall(r"'#/components/schemas/(\w+)'", str(told)))
    assert used <= schemas
    assert schemas <= used, "nothing is told that nobody uses"
    schemes = {name for _, _, operation in operations(told) for each in operation["security"] for name in each}
    assert schemes == set(told["components"]["securitySchemes"])


def test_shapes_have_names_of_their_own(app: Flask) -> None:
    """Two shapes of one name would be told as one."""
    named: dict[str, type[BaseModel]] = {}
    for view in app.view_functions.values():
        for shape in (description_of(view).body, description_of(view).answer):
            if isinstance(shape, type) and issubclass(shape, BaseModel):
                assert named.setdefault(shape.__name__, shape) is shape
