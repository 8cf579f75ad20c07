"""Questions of agents as a form shows them, what was typed into it, and what was answered, in words.

The fields of a form: ``interrupt``, the ids in order; and for each thing to decide, where ``at`` is the interrupt's
place and the action's within it: ``kind.<at>`` what is ticked, ``press.<at>`` a button that says it at once, and
``<kind>.<at>`` the text that belongs to a kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict

from deerflow.domain.approvals import (
    DECISIONS,
    Action,
    Draft,
    Incomplete,
    Problem,
    Request,
    answer_of,
    answers_in,
    decisions_in,
    question_of,
    read_request,
)
from deerflow.web.compact import compact

_OPEN = ("text", "json")
_HEADLINE = 160
_LOOKED_AT = 10_000

Wrong = Mapping[tuple[str, int], str]
"""What is wrong with a draft, by its interrupt and its place there."""


@dataclass(frozen=True)
class Typed:
    """What was chosen for one thing to decide, and all that was typed beside it, by kind."""

    draft: Draft = field(default_factory=Draft)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """One thing to decide. ``action``: None for an open question."""

    at: str
    action: Action | None
    typed: Typed
    wrong: str


@dataclass(frozen=True)
class Card:
    """One interrupt: its question in a sentence, what else it says, and the things to decide."""

    interrupt_id: str
    value: Any
    question: str
    rest: Any
    questions: list[Question]


def cards(interrupts: list[tuple[str, Any]], typed: Mapping[str, list[Typed]], wrong: Wrong) -> Iterator[Card]:
    """What a form shows for these interrupts, with what was typed before."""
    for place, (interrupt_id, value) in enumerate(interrupts):
        asked = read_request(value)
        question, rest = ("", None) if asked.actions else question_of(value)
        kept = typed.get(interrupt_id) or [Typed()] * asked.questions
        questions = [
            Question(
                at=f"{place}.{each}",
                action=asked.actions[each] if asked.actions else None,
                typed=kept[each],
                wrong=wrong.get((interrupt_id, each), ""),
            )
            for each in range(asked.questions)
        ]
        yield Card(interrupt_id, value, question, rest, questions)


def read_form(form: MultiDict[str, str], interrupts: Mapping[str, Any]) -> dict[str, list[Typed]]:
    """What was typed for each of these interrupts that the form is about."""
    return {
        interrupt_id: [
            _typed(form, f"{place}.{each}") for each in range(read_request(interrupts[interrupt_id]).questions)
        ]
        for place, interrupt_id in enumerate(dict.fromkeys(form.getlist("interrupt")))
        if interrupt_id in interrupts
    }


def _typed(form: MultiDict[str, str], at: str) -> Typed:
    texts = {kind: form.get(f"{kind}.{at}", "").replace("\r\n", "\n") for kind in (*DECISIONS, *_OPEN)}
    kind = form.get(f"press.{at}") or form.get(f"kind.{at}", "")
    return Typed(Draft(kind, texts.get(kind, "")), {name: text for name, text in texts.items() if text})


def answers_to(interrupts: Mapping[str, Any], typed: Mapping[str, list[Typed]]) -> tuple[dict[str, Any], Wrong]:
    """What each interrupt is to be told; and what is wrong, where it cannot be told yet."""
    answers: dict[str, Any] = {}
    wrong: dict[tuple[str, int], str] = {}
    for interrupt_id, given in typed.items():
        try:
            answers[interrupt_id] = answer_of(read_request(interrupts[interrupt_id]), [each.draft for each in given])
        except Incomplete as error:
            wrong[interrupt_id, error.place] = _problem(error)
    return answers, wrong


def headline(interrupts: list[tuple[str, Any]]) -> str:
    """What is asked, in one line."""
    if not interrupts:
        return ""
    first, more = _headline(read_request(interrupts[0][1])), len(interrupts) - 1
    if not more:
        return first
    return str(
        ngettext("%(first)s (and %(num)s more question)", "%(first)s (and %(num)s more questions)", more, first=first)
    )


def _headline(asked: Request) -> str:
    if asked.actions:
        return _run(asked.actions[0].name, len(asked.actions) - 1)
    question, rest = question_of(asked.value)
    text = " ".join((question[:_LOOKED_AT] or compact(rest)).split())
    return text if len(text) <= _HEADLINE else f"{text[: _HEADLINE - 1]}…"


def _run(name: str, more: int) -> str:
    if not more:
        return str(_("Run %(name)s?", name=name))
    return str(ngettext("Run %(name)s and %(num)s more?", "Run %(name)s and %(num)s more?", more, name=name))


def in_words(resume: Any) -> list[tuple[str, str]]:
    """What a run was told: for each decision its word and what was said with it, else the answer itself."""
    return [each for answer in answers_in(resume) for each in _in_words(answer)]


def _in_words(answer: Any) -> list[tuple[str, str]]:
    decisions = decisions_in(answer)
    if decisions is not None:
        return [(_decided(kind), said) for kind, said in decisions]
    if isinstance(answer, bool):
        return [(_("Yes") if answer else _("No"), "")]
    return [("", answer if isinstance(answer, str) else compact(answer))]


def _decided(kind: str) -> str:
    words = {
        "approve": _("Approved"),
        "edit": _("Approved with changes"),
        "reject": _("Rejected"),
        "respond": _("Answered"),
    }
    return str(words[kind])


def _problem(error: Incomplete) -> str:
    where = {"line": error.line, "column": error.column}
    words = {
        Problem.UNDECIDED: _("Decide first."),
        Problem.EMPTY: _("Write an answer first."),
        Problem.NOT_JSON: _("This is not JSON: look at line %(line)s, column %(column)s.", **where),
        Problem.NO_OBJECT: _("The arguments must be a JSON object: { … }."),
        Problem.TOO_DEEP: _("This nests too deep: 100 levels at most."),
    }
    return str(words[error.problem])
