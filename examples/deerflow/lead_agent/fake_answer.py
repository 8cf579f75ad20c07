"""What the deterministic model says: the next step of its plan, or an answer from what the tools returned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from lead_agent import fake_plan
from lead_agent.fake_plan import Call, Plan

_MOST_QUOTED = 600  # characters of one result
_SIGNED = "I am "
_OPENINGS = {"search_notes": "In the notes: ", "task": "A subagent answers: ", "calculator": "Calculated: "}
_EXAMPLES = {
    "calculator": "“calculate 2*(3+4)”",
    "search_notes": "“search for checkpoints”",
    "write_file": "“write file drafts/a.md: hello”",
    "delete_file": "“delete file drafts/a.md”",
    "write_todos": "“plan search for threads; calculate 6*7”",
    "task": "“research threads, runs and streams”",
}


@dataclass(frozen=True)
class Turn:
    """One answer of the model: what it says, what it calls, and what it can think aloud before."""

    text: str
    calls: list[Call] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)


def next_turn(messages: Sequence[BaseMessage], offered: Sequence[str], *, name: str, reasons: str) -> Turn:
    """What comes next in the conversation. It is read from the messages alone, so any worker can go on."""
    last = max((i for i, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
    question, since = messages[last].text if last >= 0 else "", messages[last + 1 :]
    if title := fake_plan.title_of(question):
        return Turn(title)
    todo = fake_plan.plan(question, offered)
    done = sum(isinstance(message, AIMessage) and bool(message.tool_calls) for message in since)
    results = [message for message in since if isinstance(message, ToolMessage)]
    if done < len(todo.steps):
        calls = todo.steps[done]
        text = f"Step {done + 1} of {len(todo.steps)}: I call {_listed(tool for tool, _ in calls)}. "
    else:
        calls, text = [], _answer(results, todo.notes, offered, who=f"{_SIGNED}“{name}”", reasons=reasons)
    return Turn(text, calls, _thoughts(question, offered, calls, results, todo))


def _answer(results: Iterable[ToolMessage], notes: list[str], offered: Sequence[str], *, who: str, reasons: str) -> str:
    who = f"{who}, no language model but a deterministic stand-in"
    told = [line for message in results if (line := _told(message))]
    if told or notes:
        return "\n\n".join([*told, *notes, f"({who}.)"])
    why = f", because no model of a provider can be used ({reasons})" if reasons else ""
    examples = [example for tool, example in _EXAMPLES.items() if tool in offered]
    return f"{who}{why}." + (f" I only know requests such as: {_listed(examples)}." if examples else "")


def _told(message: ToolMessage) -> str:
    """A tool's result as part of an answer."""
    text = message.text.partition(f"\n\n({_SIGNED}")[0]  # a subagent's answer is signed too
    text = text if len(text) <= _MOST_QUOTED else text[:_MOST_QUOTED] + " …"
    if message.status == "error":
        return f"{message.name} did not succeed: {text}"
    return "" if message.name == "write_todos" else _OPENINGS.get(message.name or "", "") + text


def _thoughts(
    question: str, offered: Sequence[str], calls: list[Call], results: list[ToolMessage], todo: Plan
) -> list[str]:
    """The more of them are said, the deeper the model seems to think."""
    return [
        f"The request is: {' '.join(question.split())[:120]!r}.",
        f"Next comes {_listed(tool for tool, _ in calls)}." if calls else "Now I can answer.",
        f"It takes {len(todo.steps)} steps with tools.",
        f"There are {len(results)} results so far.",
        f"On offer are {_listed(offered) or 'no tools'}.",
        "Nothing here is guessed: a rule decided each step.",
    ]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
