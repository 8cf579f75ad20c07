"""Does what the last message says: ``count 8 0.1`` says eight words slowly, ``ask`` asks a person, ``fail`` fails.

``count 8 0.1 /file`` does not go beyond its fifth word while that file is there.
"""

from chat import CountingModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def answer(state: MessagesState):
    match state["messages"][-1].text.split():
        case ["ask"]:
            return {"messages": [AIMessage("heard " + interrupt({"question": "ok?"}))]}
        case ["count", words, pause, *held]:
            model = CountingModel(words=int(words), pause=float(pause), held="".join(held))
            return {"messages": [await model.ainvoke(state["messages"])]}
        case _:
            raise ValueError("boom happened")


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile()
