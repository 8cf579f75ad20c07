"""What an agent asks a person, and what it is told: LangChain's two forms of asking for approval, and any other value.

1. ``{"action_requests": [{name, args, description}], "review_configs": [{action_name, allowed_decisions}]}``, answered
   by ``{"decisions": [...]}`` (langchain's HumanInTheLoopMiddleware);
2. ``{"action_request": {action, args}, "config": {allow_accept, ...}, "description"}``, alone or in a list, answered by
   a list (langgraph.prebuilt's HumanInterrupt);
3. whatever else: an open question, which takes text, JSON, yes or no.

A person's choice is a Draft for each decision; ``answer_of`` makes of them what the graph is told. The workspace does
the same in ``static/workspace/requests.js``; the cases of both are in ``tests/integration/web/approvals.json``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deerflow.domain.bodies import NotJson, read_json
from deerflow.domain.text import fit
from deerflow.errors import Invalid

DECISIONS = ("approve", "edit", "reject", "respond")
_OLDER = {"approve": "allow_accept", "edit": "allow_edit", "reject": "allow_ignore", "respond": "allow_respond"}
_QUESTIONS = ("question", "query", "prompt", "message", "text", "description", "title")
_MOST_ACTIONS = 5_000
"""To decide about in one request; of more nobody draws a form."""
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Action:
    """Something that an agent wants to do, and what may be decided about it (some of ``DECISIONS``)."""

    name: str
    args: Any
    description: str
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What one interrupt asks. Without ``actions`` it is an open question."""

    value: Any
    actions: tuple[Action, ...] = ()
    is_current: bool = False
    """Of the first form; else, where there are actions, of the older one."""

    @property
    def questions(self) -> int:
        """How many drafts it takes."""
        return len(self.actions) or 1


@dataclass(frozen=True)
class Draft:
    """What a person has chosen, and typed with it. ``kind``: a decision; of an open question yes, no, text or json."""

    kind: str = ""
    text: str = ""


class Problem(StrEnum):
    """What is still wrong with a draft."""

    UNDECIDED = "undecided"
    EMPTY = "empty"
    NOT_JSON = "not JSON"
    NO_OBJECT = "no object"
    TOO_DEEP = "too deep"


class Incomplete(ValueError):
    """A draft is no answer yet. ``place``: which one of its request; ``line``, ``column``: where it is not JSON."""

    def __init__(self, problem: Problem, place: int = 0, *, line: int = 0, column: int = 0) -> None:
        super().__init__(problem)
        self.problem, self.place, self.line, self.column = problem, place, line, column


def read_request(value: Any) -> Request:
    """What is asked. A request of approval that cannot be read as one is an open question, which takes any answer."""
    if current := _current_actions(value):
        return Request(value, current, is_current=True)
    listed = value if isinstance(value, list) else [value]
    older = [_older_action(each) for each in listed] if len(listed) <= _MOST_ACTIONS else [None]
    actions = tuple(action for action in older if action is not None)
    return Request(value, actions if len(actions) == len(older) else ())


def open_interrupts(stored: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Id and value of all interrupts that a thread has, in their order; of subgraphs too."""
    found = [each for of_task in (stored or {}).values() for each in of_task]
    return [(str(each["id"]), each.get("value")) for each in found if each.get("id")]


def answer_of(request: Request, drafts: Sequence[Draft]) -> Any:
    """What an interrupt is to be told. Raises Incomplete, naming the draft that is none yet."""
    if not request.actions:
        return _open_answer(drafts[0])
    answers = [_decided(request, place, drafts[place]) for place in range(len(request.actions))]
    return {"decisions": answers} if request.is_current else answers


def question_of(value: Any) -> tuple[str, Any]:
    """The sentence of a value that a person should read first, empty if there is none; and what is left of it."""
    if isinstance(value, str):
        return value, None
    if not isinstance(value, dict):
        return "", value
    name = next((each for each in _QUESTIONS if isinstance(value.get(each), str) and value[each].strip()), None)
    if name is None:
        return "", value
    return value[name], {key: each for key, each in value.items() if key != name} or None


def answers_in(resume: Any) -> list[Any]:
    """The answers that a run was resumed with: one, or one under each interrupt's id (32 hexadecimal digits)."""
    by_id = isinstance(resume, dict) and resume and all(_ID.fullmatch(name) for name in resume)
    return list(resume.values()) if by_id else [resume]


def decisions_in(answer: Any) -> list[tuple[str, str]] | None:
    """The decisions of an answer, in the words of ``DECISIONS``, with what was said with each; None: it has none."""
    listed = answer.get("decisions") if isinstance(answer, dict) else answer
    found = [_decision(each) for each in listed] if isinstance(listed, list) and listed else [None]
    return None if None in found else [each for each in found if each is not None]


_WORDS = {**{name: name for name in DECISIONS}, "accept": "approve", "ignore": "reject", "response": "respond"}


def _decision(told: Any) -> tuple[str, str] | None:
    kind = told.get("type") if isinstance(told, dict) else None
    if not isinstance(kind, str) or kind not in _WORDS:
        return None
    said = next((told[name] for name in ("message", "args") if isinstance(told.get(name), str)), "")
    return _WORDS[kind], said


def _current_actions(value: Any) -> tuple[Action, ...]:
    """Those of the first form; none when one of them allows nothing."""
    if not isinstance(value, dict):
        return ()
    asked, configs = value.get("action_requests"), value.get("review_configs")
    if not isinstance(asked, list) or not isinstance(configs, list) or len(asked) > _MOST_ACTIONS:
        return ()
    read = [each if isinstance(each, dict) else {} for each in configs]
    named = {each["action_name"]: each for each in reversed(read) if isinstance(each.get("action_name"), str)}
    actions = tuple(
        _current_action(each if isinstance(each, dict) else {}, read[place] if place < len(read) else {}, named)
        for place, each in enumerate(asked)
    )
    return actions if all(action.allowed for action in actions) else ()


def _current_action(told: dict[str, Any], beside: dict[str, Any], named: Mapping[str, dict[str, Any]]) -> Action:
    """An action, under the config that names it, or else the one at its place."""
    name = told.get("name")
    config = named.get(name, beside) if isinstance(name, str) else beside
    allowed = config.get("allowed_decisions")
    may = tuple(each for each in DECISIONS if isinstance(allowed, list) and each in allowed)
    return Action(_text(name), _args(told.get("args")), _text(told.get("description")), may)


def _older_action(value: Any) -> Action | None:
    asked, config = (value.get("action_request"), value.get("config")) if isinstance(value, dict) else (None, None)
    if not isinstance(asked, dict) or not isinstance(config, dict) or not isinstance(asked.get("action"), str):
        return None
    allowed = tuple(each for each in DECISIONS if config.get(_OLDER[each]))
    description = _text(value.get("description"))
    return Action(asked["action"], _args(asked.get("args")), description, allowed) if allowed else None


def _text(told: Any) -> str:
    return "" if told is None else str(told)


def _args(told: Any) -> Any:
    return {} if told is None else told


def _open_answer(draft: Draft) -> Any:
    if draft.kind in {"yes", "no"}:
        return draft.kind == "yes"
    if draft.kind == "json":
        return _read(draft.text, 0)
    if not draft.text:
        raise Incomplete(Problem.EMPTY)
    return fit(draft.text)


def _decided(request: Request, place: int, draft: Draft) -> dict[str, Any]:
    action = request.actions[place]
    if draft.kind not in action.allowed:
        raise Incomplete(Problem.UNDECIDED, place)
    if draft.kind == "edit":
        return _edited(request, place, draft.text)
    said = fit(draft.text.strip())
    if draft.kind == "respond" and not said:
        raise Incomplete(Problem.EMPTY, place)
    return _current_decision(draft.kind, said) if request.is_current else _older_decision(draft.kind, said)


def _current_decision(kind: str, said: str) -> dict[str, Any]:
    return {"type": kind, "message": said} if said and kind != "approve" else {"type": kind}


def _older_decision(kind: str, said: str) -> dict[str, Any]:
    if kind == "respond":
        return {"type": "response", "args": said}
    return {"type": "accept" if kind == "approve" else "ignore", "args": None}


def _edited(request: Request, place: int, text: str) -> dict[str, Any]:
    action, args = request.actions[place], _read(text, place)
    if isinstance(action.args, dict) and not isinstance(args, dict):
        raise Incomplete(Problem.NO_OBJECT, place)
    if request.is_current:
        return {"type": "edit", "edited_action": {"name": action.name, "args": args}}
    return {"type": "edit", "args": {"action": action.name, "args": args}}


def _read(text: str, place: int) -> Any:
    try:
        return read_json(text)
    except NotJson as error:
        problem = Problem.NOT_JSON if text.strip() else Problem.EMPTY
        raise Incomplete(problem, place, line=error.line, column=error.column) from error
    except Invalid as error:
        raise Incomplete(Problem.TOO_DEEP, place) from error
