"""How programs talk to this server: the shortest thing that works with curl, Python and React, to be copied."""

from flask import current_app, request

from deerflow.identity import opened

_CURL = """\
curl -N {url}/runs/stream \\
  {header}-H 'content-type: application/json' \\
  -d '{{"assistant_id": "{graph}", "stream_mode": "messages-tuple",
       "input": {{"messages": [{{"role": "user", "content": "hello"}}]}}}}'"""

_PYTHON = """\
from langgraph_sdk import get_sync_client

client = get_sync_client(url="{url}"{argument})
question = {{"messages": [{{"role": "user", "content": "hello"}}]}}
for part in client.runs.stream(None, "{graph}", input=question, stream_mode="messages-tuple"):
    print(part.data)"""

_REACT = """\
import {{ useStream }} from "@langchain/langgraph-sdk/react";

const server = {{ apiUrl: "{url}"{property} }};
const stream = useStream({{ ...server, assistantId: "{graph}" }});
const ask = (content) => stream.submit({{ messages: [{{ type: "human", content }}] }});
return <ol>{{stream.messages.map((each) => <li key={{each.id}}>{{String(each.content)}}</li>)}}</ol>;"""

_TO_COME = "df_…"


def examples(key: str | None = None) -> dict[str, str]:
    """The examples by their names, with this server's address, one of its graphs, and a key where keys are needed."""
    key = (key or _TO_COME) if current_app.config["DEERFLOW_AUTH"] != "none" else ""
    facts = {
        "url": request.url_root.rstrip("/"),
        "graph": next(iter(opened.backend().project.graphs)),
        "header": key and f"-H 'x-api-key: {key}' ",
        "argument": key and f', api_key="{key}"',
        "property": key and f', apiKey: "{key}"',
    }
    return {"curl": _CURL.format(**facts), "Python": _PYTHON.format(**facts), "React": _REACT.format(**facts)}
