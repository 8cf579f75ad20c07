"""What pages say while nobody executes runs."""

import pytest
from flask import Flask, g, render_template_string
from flask_babel import force_locale

from deerflow.backend import Backend
from deerflow.domain.accounts import User, principal_of
from deerflow.domain.principal import Proof
from deerflow.errors import Unavailable

PAGE = '{% from "console/_parts.html" import no_worker with context %}{{ no_worker() }}'


def shown(app: Flask, user: User) -> str:
    """What a page of this user's shows."""
    with app.test_request_context("/console/"), force_locale("en_US"):
        g.principal = principal_of(user, proof=Proof.HEADER)
        return render_template_string(PAGE)


def test_that_runs_will_wait_is_told_while_nobody_executes_them(
    accounts_app: Flask, backend: Backend, ada: User
) -> None:
    """Who works on another queue does not count."""
    backend.presence.renew("clock", ("clock",))
    assert "No worker is running: runs will wait." in shown(accounts_app, ada)
    backend.presence.renew("one", ("runs",))
    assert "No worker" not in shown(accounts_app, ada)
    backend.presence.leave("one")
    assert "No worker" in shown(accounts_app, ada)


def test_nothing_is_told_that_nobody_knows(
    accounts_app: Flask, backend: Backend, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis knows who is there."""

    def away() -> None:
        raise Unavailable("Redis does not answer")

    monkeypatch.setattr(backend.presence, "alive", away)
    assert "No worker" not in shown(accounts_app, ada)
