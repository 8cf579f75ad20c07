"""Shows what a conversation can hold; the last message names it.

``markdown``: text with everything that must not get through; ``tools``: a call that works and one that fails; ``odd``:
blocks that nobody knows; ``picture``: says which kinds of blocks it was sent; ``ask``, ``twice`` and ``inside``: one
question, two at the same time, and one of a graph within the graph; ``approve``: asks as langchain's middleware does;
``careful``: asks so before it calls its tools.
"""

import json

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt

MARKDOWN = """# Results

Some **bold** text, a [good link](https://example.org/page) and a [bad one](javascript:document.title='run').

<script>document.title = "run"</script> <img src=x onerror="document.title='run'">

![a picture](https://example.org/picture.png) ![another](/console/logout)

- [x] done
- one
  - below it

| Name | Size |
|------|-----:|
| a    |    1 |

```python
print("hello")
```

<svg onload="document.title='run'"></svg> <style>body { display: none }</style>
"""
CALLS = [
    {"id": "ok", "name": "divide", "args": {"a": 6, "b": 3}},
    {"id": "bad", "name": "divide", "args": {"a": 1, "b": 0}},
]
REQUEST = {
    "action_requests": [{"name": "send_mail", "args": {"to": "anna@example.org"}, "description": "Sends a **mail**."}],
    "review_configs": [{"action_name": "send_mail", "allowed_decisions": ["approve", "edit", "reject"]}],
}
BLOCKS = [{"type": "text", "text": "Look:"}, {"type": "hologram", "depth": 3}]


@tool
def divide(a: int, b: int) -> str:
    """Divide two numbers."""
    return json.dumps({"quotient": a / b})


def heard(value):
    """What was answered, as a message."""
    return {"messages": [AIMessage(f"heard {json.dumps(value)}")]}


def say(state: MessagesState):
    """Say or ask what is wanted."""
    match last_wish(state):
        case "markdown":
            return {"messages": [AIMessage(MARKDOWN)]}
        case "tools" | "careful":
            return {"messages": [AIMessage("Dividing.", tool_calls=CALLS)]}
        case "odd":
            return {"messages": [AIMessage(BLOCKS)]}
        case "ask":
            return heard(interrupt({"question": "Shall I go **on**?", "price": 120}))
        case "approve":
            return heard(interrupt(REQUEST))
        case _:
            content = state["messages"][-1].content
            kinds = ["text"] if isinstance(content, str) else [block["type"] for block in content]
            return {"messages": [AIMessage("sent " + " ".join(kinds))]}


def last_wish(state: MessagesState) -> str:
    """The last thing that a person has said."""
    return [message for message in state["messages"] if isinstance(message, HumanMessage)][-1].text


def decide(state: MessagesState):
    """Ask about each call; who is refused is told so as an error."""
    calls = state["messages"][-1].tool_calls
    actions = [{"name": call["name"], "args": call["args"]} for call in calls]
    configs = [{"action_name": "divide", "allowed_decisions": ["approve", "reject"]}]
    answer = interrupt({"action_requests": actions, "review_configs": configs})
    return {"messages": [result(call, decision) for call, decision in zip(calls, answer["decisions"], strict=True)]}


def result(call, decision):
    """What comes of a call."""
    if decision["type"] == "approve":
        return divide.invoke(call | {"type": "tool_call"})
    return ToolMessage(decision.get("message", "no"), tool_call_id=call["id"], name=call["name"], status="error")


def left(state: MessagesState):
    """Ask one thing."""
    return heard(interrupt("left?"))


def right(state: MessagesState):
    """Ask another."""
    return heard(interrupt("right?"))


def within(state: MessagesState):
    """Ask from inside."""
    return heard(interrupt("inside?"))


def begin(state: MessagesState) -> list[str]:
    """Where a wish is answered."""
    return {"twice": ["left", "right"], "inside": ["child"]}.get(last_wish(state), ["say"])


def after(state: MessagesState) -> str:
    """Calls are followed, once."""
    if not getattr(state["messages"][-1], "tool_calls", None):
        return END
    return "decide" if last_wish(state) == "careful" else "tools"


child = StateGraph(MessagesState).add_node(within).add_edge(START, "within").compile()
graph = (
    StateGraph(MessagesState)
    .add_node(say)
    .add_node(decide)
    .add_node(left)
    .add_node(right)
    .add_node("child", child)
    .add_node("tools", ToolNode([divide], handle_tool_errors=True))
    .add_conditional_edges(START, begin, ["say", "left", "right", "child"])
    .add_conditional_edges("say", after, ["tools", "decide", END])
    .compile()
)
