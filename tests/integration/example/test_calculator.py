"""The calculator: arithmetic, and nothing else at any price."""

import time

import pytest
from langchain_core.tools import ToolException
from lead_agent.tools.calculator import calculate

from tests.integration.example.talking import Thread


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 * (3 + 4)", 14),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 2", 4),
        ("2^10", 1024),
        ("6 \N{MULTIPLICATION SIGN} 7 ÷ 2", 21),
        ("1e3 + .5", 1000.5),
        ("sqrt(16) + max(1, 2, 3)", 7),
        ("round(2 / 3, 2)", 0.67),
        ("round(2.5)", 2),
        ("sin(pi) + log(e)", pytest.approx(1)),
        ("2 ** 64 - 1", 18446744073709551615),
        ("2 ** -10000", 0),
    ],
)
def test_arithmetic(expression: str, value: float) -> None:
    """What people write is calculated, with Python's precedence."""
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "9**9**9",
        "9**9**9**9",
        "(10**1000)**1000",
        "2**4096",
        "3**4095",
        "1e308 * 10",
        "-1e999",
        "(2**4000) * (2**4000)",
        "10.0 ** 400",
        "round(5, -10**9)",
        "round(5, 10**9)",
        "exp(1000)",
        "+".join(["9**999"] * 60),
    ],
)
def test_bounded(expression: str) -> None:
    """No expression keeps a worker busy or fills its memory."""
    started = time.process_time()
    with pytest.raises(ToolException):
        calculate(expression)
    assert time.process_time() - started < 1  # unbounded, most of these would not end in this test's lifetime


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "open(1)",
        "eval(1)",
        "abs.__call__(1)",
        "[1 for x in (1, 2)]",
        "lambda: 1",
        "x := 1",
        "(1).real",
        "max(*(1, 2))",
        "max(1, key=abs)",
        "True + 1",
        "1 if 1 else 2",
        "1 < 2",
        "1j * 1j",
        "(-8) ** 0.5",
        "'a' * 9",
        "1 / 0",
        "1 % 0",
        "",
        "1 +",
        "2 3",
        "min()",
        "sqrt(-1)",
        "floor(1, 2)",
        "\x00",
        "(" * 150 + ")" * 150,
    ],
)
def test_nothing_but_arithmetic(expression: str) -> None:
    """Names, attributes, strings, calls of anything else and nonsense end as an error that the model is told."""
    with pytest.raises(ToolException, match=r"\w"):
        calculate(expression)


@pytest.mark.parametrize("expression", ["(" * 120 + "1" + ")" * 120, "+" * 299 + "1", "-" * 298 + "1"])
def test_deep_but_arithmetic(expression: str) -> None:
    """As deep as the length allows is no deeper than the parser goes."""
    assert calculate(expression) == 1


def test_the_model_is_told(thread: Thread) -> None:
    """A result comes back with its expression; a failure as an error, and the run goes on."""
    assert thread.use("calculator", expression="2*(3+4)").text == "2*(3+4) = 14"
    answer = thread.use("calculator", expression="9**9**9")
    assert (answer.status, answer.text) == ("error", "The number gets too large")
    assert "did not succeed: The number gets too large" in thread.say("calculate 9**9**9").text
