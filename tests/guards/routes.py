"""A call of every route. Imports nothing but what the web process has anyway: a guard looks at what is loaded."""

from uuid import uuid4

from flask import Flask
from werkzeug.routing import Rule


def calls(app: Flask) -> list[tuple[str, str, Rule]]:
    """One call of every route: method, path with made-up ids, rule."""
    adapter = app.url_map.bind("localhost")
    return [
        (method, adapter.build(rule.endpoint, {name: uuid4() for name in rule.arguments}), rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
