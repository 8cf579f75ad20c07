"""Lengths of time as people say them."""

from datetime import timedelta

import pytest
from flask import Flask

from deerflow.web import look
from deerflow.web.lasting import lasting


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.0424, "42 ms", "42 毫秒"),
        (-3, "0 ms", "0 毫秒"),
        (1, "1.0 s", "1.0 秒"),
        (59.94, "59.9 s", "59.9 秒"),
        (125, "2 min 5 s", "2 分 5 秒"),
        (3_600, "1 h 0 min", "1 小时 0 分"),
        (200_000, "2 d 7 h", "2 天 7 小时"),
    ],
)
def test_two_units_at_most(seconds: float, english: str, chinese: str) -> None:
    app = Flask("lasting")
    look.register(app)
    for language, said in (("en", english), ("zh", chinese)):
        with app.test_request_context(headers={"Accept-Language": language}):
            assert lasting(timedelta(seconds=seconds)) == said


def test_what_is_not_known_is_not_said() -> None:
    assert lasting(None) == ""
