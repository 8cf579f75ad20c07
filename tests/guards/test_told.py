"""What the server says when something cannot be done is there in the reader's language, wherever it is raised."""

import ast
from collections.abc import Iterator
from pathlib import Path

from deerflow import errors
from deerflow.settings import ROOT
from deerflow.web.told import SENTENCES, sentence_of

FAMILIES = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.DeerflowError) and name not in
    {"DeerflowError", "ConfigError", "HandlerRefused", "HandlerFailed", "Fenced"}
}  # fmt: skip

NEVER_ON_A_PAGE = {
    "cli": "of the command line",
    "hooks": "of webhooks, which no page has",
    "project": "of langgraph.json, which stops a start",
    "api": "of the wire's own shapes; what is told of a request as a whole is among the sentences",
    "auth/values.py": "of the project's handlers",
    "domain/context.py": "of a run's context, in the words of its schema",
    "domain/crons.py": "of crons, which no page has",
    "domain/since.py": "of the audit on the wire",
    "identity/own_page.py:require_own_page": "of JSON requests",
    "identity/own_page.py:require_own_socket": "of WebSockets",
    "runtime/schedule.py": "of crons",
    "storage/crons.py": "of crons",
    "storage/idempotency.py": "of the wire's Idempotency-Key",
    "storage/webhooks.py": "of webhooks",
    "runtime/build.py": "of supersteps and copies on the wire",
}


def raised() -> Iterator[tuple[str, str]]:
    """Where an error of ours is made, and its text; what is put in stands as ``x``."""
    for file in sorted((ROOT / "deerflow").rglob("*.py")):
        place = str(file.relative_to(ROOT / "deerflow"))
        if not any(place == known or place.startswith(f"{known}/") for known in NEVER_ON_A_PAGE):
            yield from _of_file(file, place)


def _of_file(file: Path, place: str) -> Iterator[tuple[str, str]]:
    module = ast.parse(file.read_text())
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef | ast.Module):
            if f"{place}:{getattr(function, 'name', '')}" in NEVER_ON_A_PAGE:
                continue
            for call in _calls(function):
                text = _text(call, constants)
                if text is not None:
                    yield f"{place}:{call.lineno}", text


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls within a function or module, but for those of functions within it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _text(call: ast.Call, constants: dict[str, ast.expr]) -> str | None:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if name in FAMILIES and call.args:
        return _said(call.args[0], constants)
    return _said(call.args[3], constants) if name == "Limit" and len(call.args) > 3 else None


def _said(node: ast.expr, constants: dict[str, ast.expr]) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and node.id in constants:
        return _said(constants[node.id], constants)
    if isinstance(node, ast.JoinedStr):
        parts = (
            part.value if isinstance(part, ast.Constant) else _said(part.value, constants) or "x"
            for part in node.values
        )
        return "".join(map(str, parts))
    return None


def test_every_error_that_a_page_may_tell_is_translated() -> None:
    found = [(place, text.removesuffix("; try again later")) for place, text in raised()]
    assert len(found) > 70, "else nothing is looked at"
    missing = [
        (place, text)
        for place, text in found
        if sentence_of(text.partition(": ")[2] or text) is None and sentence_of(text) is None
    ]
    assert missing == []


def test_no_sentence_stands_for_another() -> None:
    """One that comes first and fits a later one as well would tell half of it in English."""
    for number, sentence in enumerate(SENTENCES):
        assert sentence_of(sentence) == sentence, f"{number}: {sentence}"
