"""create_app(): opens the Backend, registers blueprints, errors and the command line."""

from flask import Flask

from deerflow import api, cli, identity, logs
from deerflow.backend import open_backend
from deerflow.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask application. Nothing is connected before the first request needs it."""
    settings = settings or Settings.from_env()
    logs.setup(settings.log_level)
    app = Flask("deerflow", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.body_bytes
    app.extensions["deerflow"] = open_backend(settings)
    identity.register(app, settings)
    api.register(app)
    cli.register(app)
    return app
