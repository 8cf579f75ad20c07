"""What Schemathesis makes up from ``/openapi.json``, asked of the whole server with a key of scope run."""

from typing import Any

import pytest
import schemathesis
from schemathesis import Case

from tests.generated import AS_TOLD, each_example, operations, with_ids
from tests.live import Live


@pytest.fixture
def headers(live: Live) -> dict[str, str]:
    """Of a key that is no administrator's; without accounts of nobody."""
    if not live.headers:
        return {}
    made = live.http().post("/api/v1/auth/keys", json={"name": "generated", "scope": "run"})
    assert made.status_code < 300, made.text
    return {"x-api-key": made.json()["key"]}


@pytest.fixture
def ids(live: Live) -> dict[str, str]:
    """Of things that are there, by the names that paths give them."""
    http = live.http()
    thread_id = http.post("/threads", json={}).json()["thread_id"]
    run = http.post(f"/threads/{thread_id}/runs", json={"assistant_id": "steps", "input": {}}).json()
    http.get(f"/threads/{thread_id}/runs/{run['run_id']}/join")
    assistant = http.post("/assistants", json={"graph_id": "steps"}).json()
    cron = http.post("/runs/crons", json={"assistant_id": "steps", "schedule": "0 0 1 1 *"}).json()
    state = http.get(f"/threads/{thread_id}/state").json()
    return {
        "thread_id": thread_id,
        "run_id": run["run_id"],
        "assistant_id": assistant["assistant_id"],
        "cron_id": cron["cron_id"],
        "checkpoint_id": state["checkpoint"]["checkpoint_id"],
    }


def test_every_answer_is_told(live: Live, headers: dict[str, str], ids: dict[str, str]) -> None:
    """No 5xx, no status, media type or shape that the document does not have; every other call is of real things."""
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    turn: list[int] = []
    wrong: list[str] = []

    def call(case: Case) -> None:
        turn.append(1)
        asked: Any = with_ids(case, ids) if len(turn) % 2 else case
        answer = asked.call(base_url=live.url, headers=headers, timeout=20)
        try:
            assert answer.status_code < 500, answer.text
            asked.validate_response(answer, checks=AS_TOLD)
        except Exception as error:  # noqa: BLE001 - all that is wrong is told at once
            wrong.append(f"{asked.method} {asked.formatted_path} {answer.status_code}: {str(error)[:600]}")

    for operation in sorted(operations(schema), key=lambda each: each.method == "delete"):
        each_example(operation, call)
    assert not wrong, "\n\n".join(wrong)
    assert len(turn) > 100
