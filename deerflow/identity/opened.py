"""What the app that answers this request has opened: its Backend, and the secrets that sign."""

from flask import Flask, current_app

from deerflow.backend import Backend


def backend() -> Backend:
    """The Backend of this process."""
    found: Backend = current_app.extensions["deerflow"]
    return found


def secrets(app: Flask = current_app) -> list[str]:
    """The secrets in force; the first one signs, all are believed."""
    return [app.config["SECRET_KEY"], *app.config["SECRET_KEY_FALLBACKS"]]
