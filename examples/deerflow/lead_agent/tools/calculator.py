"""The calculator: arithmetic on a parsed expression, never ``eval``, with a bound on every result."""

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from langchain_core.tools import ToolException, tool

_MOST_CHARACTERS = 300
_MOST_BITS = 4_096  # of a whole number: some 1,200 digits
_MOST_PLACES = 15  # that round() rounds to: round(5, -10**9) would compute 10**(10**9)
_ALPHABET = re.compile(r"[\w\s.,()+\-*/%]+", re.ASCII)
_SIGNS = str.maketrans({"^": "**", "\N{MULTIPLICATION SIGN}": "*", "÷": "/", "\N{MINUS SIGN}": "-"})

Number = int | float


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and (base.bit_length() - 1) * exponent > _MOST_BITS:
        raise OverflowError
    return base**exponent


def _round(value: Number, places: int = 0) -> Number:
    if not isinstance(places, int) or abs(places) > _MOST_PLACES:
        raise ValueError(f"round() takes at most {_MOST_PLACES} places")
    return round(value, places) if places else round(value)


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
    **{n: getattr(math, n) for n in ("sqrt", "log", "log10", "exp", "sin", "cos", "tan", "floor", "ceil")},
}


@tool
async def calculator(expression: str) -> str:
    """Calculate an arithmetic expression, such as 2 * (3 + 4) or sqrt(2) / 3.

    Knows + - * / // % **, pi, e, abs, min, max, round, sqrt, log, log10, exp, sin, cos, tan, floor, ceil.
    """
    return f"{expression.strip()} = {calculate(expression)}"


def calculate(expression: str) -> Number:
    """The value of *expression*; ToolException says what is wrong. Takes a few milliseconds at most."""
    if len(expression) > _MOST_CHARACTERS:
        raise ToolException(f"An expression has at most {_MOST_CHARACTERS} characters")
    text = expression.translate(_SIGNS).strip()
    if not _ALPHABET.fullmatch(text):
        raise ToolException("An expression consists of numbers, operators, brackets and function names")
    try:
        return _value(ast.parse(text, mode="eval").body)
    except ZeroDivisionError:
        raise ToolException("Division by zero") from None
    except OverflowError:
        raise ToolException("The number gets too large") from None
    except (SyntaxError, RecursionError, MemoryError):
        raise ToolException("That is not an arithmetic expression") from None
    except (TypeError, ValueError) as error:
        raise ToolException(f"That cannot be calculated: {error}") from None


def _value(node: ast.AST) -> Number:
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            found: Any = value
        case ast.Name(id=name) if name in _CONSTANTS:
            found = _CONSTANTS[name]
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _OPERATORS:
            found = _OPERATORS[type(sign)](_value(operand))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            found = _OPERATORS[type(sign)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            found = _FUNCTIONS[name](*map(_value, args))
        case _:
            raise ValueError("only arithmetic is known here")
    return _bounded(found)


def _bounded(value: Any) -> Number:
    if isinstance(value, complex):
        raise ValueError("the result is not a real number")  # noqa: TRY004 - the caller's numbers are at fault, not their type
    if value.bit_length() > _MOST_BITS if isinstance(value, int) else not math.isfinite(value):
        raise OverflowError
    return value  # type: ignore[no-any-return]
