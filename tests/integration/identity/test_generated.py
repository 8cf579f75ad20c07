"""What Schemathesis makes up from ``/openapi.json``, asked by a stranger with the owner's ids."""

import schemathesis
from flask import Flask
from schemathesis import Case

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Scope
from tests.conftest import SilentBell
from tests.factories import make_key
from tests.generated import AS_TOLD, each_example, operations, with_ids
from tests.integration.identity.stranger import WORD, make_things, what_is_there

UNAVAILABLE = 503


def test_nothing_of_the_owners_is_told(
    accounts_app: Flask, backend: Backend, bell: SilentBell, owner: User, stranger: User
) -> None:
    """And nothing that the document does not have. What asks a state worker is told at once that there is none."""
    bell.broken = True
    ids = {f"{name}_id": str(value) for name, value in make_things(backend, owner)[0].items()}
    headers = {"x-api-key": make_key(backend, stranger, scope=Scope.RUN)}
    schema = schemathesis.openapi.from_wsgi("/openapi.json", accounts_app)
    wrong: list[str] = []
    before = what_is_there(backend, owner)

    def call(case: Case) -> None:
        asked = with_ids(case, ids)
        answer = asked.call(headers=headers)
        try:
            assert answer.status_code < 500 or answer.status_code == UNAVAILABLE, answer.text
            assert WORD not in answer.text
            assert "owner@example.com" not in answer.text
            asked.validate_response(answer, checks=AS_TOLD)
        except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
            wrong.append(f"{asked.method} {asked.formatted_path} {answer.status_code}: {str(error)[:600]}")

    for operation in operations(schema, but=["/console", "/ready"]):
        each_example(operation, call)
    assert not wrong, "\n\n".join(wrong)
    assert what_is_there(backend, owner) == before
