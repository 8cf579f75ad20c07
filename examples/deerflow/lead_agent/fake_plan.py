"""What the deterministic model understands: requests in plain words, turned into tool calls.

A message is cut where a request begins after a new line, a semicolon or "then"; each request is one step.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

Call = tuple[str, dict[str, Any]]
"""A tool's name and its arguments."""

_VERBS = (
    r"calculate|compute|search|find|research|delegate|plan"
    r"|(?:write|edit|read|show|delete|remove) (?:the )?file|list (?:the |my |all )?files"
)
_CUT = re.compile(
    rf"\s*(?:[;\n]\s*(?:and\s+)?(?:then\s+)?|,?\s+(?:and\s+)?then\s+)(?=(?:please\s+)?(?:{_VERBS})\b)",
    re.IGNORECASE,
)
_COMMAS = re.compile(r"\s*(?:,\s*and\s|,|;|\n|\sand\s)\s*", re.IGNORECASE)
_PLAN = re.compile(r"^(?:please\s+)?plan\b:?\s*(?P<goal>.+)", re.IGNORECASE | re.DOTALL)
_TEAM = re.compile(r"^(?:please\s+)?(?:research|delegate)\b:?\s*(?P<topics>.+)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"^Write a title\b.*?^User: (?P<question>.*?)\n\nAssistant: ", re.DOTALL | re.MULTILINE)


def _rule(pattern: str, tool: str, arguments: Callable[[re.Match[str]], dict[str, Any]]) -> tuple[re.Pattern[str], Any]:
    return re.compile(rf"^(?:please\s+)?{pattern}", re.IGNORECASE | re.DOTALL), lambda found: (
        tool,
        arguments(found),
    )


_FILE = r"(?:the )?file (?P<path>[^\s:]+)"
_RULES = [
    _rule(r"(?:calculate|compute)\s+(?P<e>[^?\n]+)", "calculator", lambda m: {"expression": m["e"].strip(" .")}),
    _rule(r"what is\s+(?P<e>[\d(.-][^?\n]*)\??$", "calculator", lambda m: {"expression": m["e"].strip(" .")}),
    _rule(
        r"(?:search|find)(?: (?:the )?notes)?(?: for| on| about)?\s+(?P<q>.+)",
        "search_notes",
        lambda m: {"query": m["q"].strip(" .?")},
    ),
    _rule(r"(?:what|how|why) (?:is|are|does|do)\s+(?P<q>[^\n]+)\?$", "search_notes", lambda m: {"query": m["q"]}),
    _rule(rf"write {_FILE}:?\s*(?P<text>.*)", "write_file", lambda m: {"path": m["path"], "content": m["text"]}),
    _rule(
        rf"edit {_FILE}:?\s*(?P<old>.+?)\s*(?:=>|->)\s*(?P<new>.+)",
        "edit_file",
        lambda m: {"path": m["path"], "old": m["old"], "new": m["new"].rstrip()},
    ),
    _rule(rf"(?:read|show) {_FILE}", "read_file", lambda m: {"path": m["path"].rstrip(".?")}),
    _rule(rf"(?:delete|remove) {_FILE}", "delete_file", lambda m: {"path": m["path"].rstrip(".?")}),
    _rule(r"list (?:the |my |all )?files", "list_files", lambda _: {}),
]


@dataclass(frozen=True)
class Plan:
    """Steps, each with tool calls made at once; and what the run's switches kept the model from doing."""

    steps: list[list[Call]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(message: str, offered: Collection[str]) -> Plan:
    """What to do about *message* with the tools that are offered."""
    message = message.strip()
    asked = _PLAN.match(message)
    wanted = _requests(asked["goal"].strip() if asked else message, offered)
    if asked and not wanted.steps:
        wanted = _requests(f"search for {asked['goal']}", offered)
    if "write_todos" in offered and (asked or len(wanted.steps) > 1):
        return Plan(_with_todos(wanted.steps), wanted.notes)
    off = ["Plan mode is off (is_plan_mode), so I keep no list of todos."] if asked else []
    return Plan(wanted.steps, [*wanted.notes, *off])


def title_of(message: str) -> str | None:
    """The title that *message* asks for; None when it asks for something else."""
    asked = _TITLE.search(message)
    return " ".join(asked["question"].split()[:6]) if asked else None


def _requests(message: str, offered: Collection[str]) -> Plan:
    steps: list[list[Call]] = []
    notes: list[str] = []
    for request in _CUT.split(message):
        if team := _TEAM.match(request.strip()):
            calls = [_delegated(topic, offered) for topic in _COMMAS.split(team["topics"].strip(" .?")) if topic]
            steps.append(calls)
            if "task" not in offered:
                notes.append("Subagents are off (subagent_enabled), so I looked myself.")
        elif (call := _call(request.strip())) and call[0] in offered:
            steps.append([call])
    return Plan(steps, notes)


def _delegated(topic: str, offered: Collection[str]) -> Call:
    prompt = topic if _call(topic) else f"search for {topic}"
    if "task" in offered:
        return "task", {"description": topic[:60], "prompt": prompt}
    return _call(prompt) or ("search_notes", {"query": topic})


def _call(request: str) -> Call | None:
    for pattern, make in _RULES:
        if found := pattern.match(request):
            return make(found)  # type: ignore[no-any-return]
    return None


def _with_todos(steps: list[list[Call]]) -> list[list[Call]]:
    """The same steps, the plan rewritten as each begins, and once more at the end."""
    lines = ["; ".join(f"{name}: {_short(arguments)}" for name, arguments in step) for step in steps]

    def todos(current: int) -> Call:
        states = [
            "completed" if i < current else "in_progress" if i == current else "pending" for i in range(len(lines))
        ]
        return "write_todos", {"todos": [{"content": c, "status": s} for c, s in zip(lines, states, strict=True)]}

    return [[todos(i), *step] for i, step in enumerate(steps)] + [[todos(len(steps))]]


def _short(arguments: dict[str, Any]) -> str:
    return " ".join(str(next(iter(arguments.values()), "")).split())[:60]
