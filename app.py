"""create_app(): opens the Backend, registers blueprints, errors and the command line."""

import click
from flask import Flask

from deerflow import api, cli, identity, logs, web
from deerflow.api import prefix
from deerflow.backend import open_backend
from deerflow.errors import ConfigError
from deerflow.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application. Nothing is connected before the first request needs it."""
    try:
        return _create(settings or Settings.from_env())
    except ConfigError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error  # the flask command would show a stack


def _create(settings: Settings) -> Flask:
    logs.setup(settings.log_level)
    app = Flask("deerflow", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_bytes
    app.extensions["deerflow"] = open_backend(settings)
    prefix.register(app, app.extensions["deerflow"].project)
    identity.register(app, settings)
    api.register(app, settings)
    web.register(app)
    cli.register(app)
    return app
