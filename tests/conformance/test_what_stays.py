"""What a rollback does not undo."""

from uuid import uuid4

from tests.conformance.conftest import Wire
from tests.conftest import wait_for


def test_rollback_leaves_the_store_alone(wire: Wire) -> None:
    """It takes back checkpoints and row; what the run has put into the store is there for the next one."""
    word = uuid4().hex
    run_id = wire.create("noting", input={"word": word, "seconds": 60})
    state = f"/threads/{wire.thread}/state"
    wait_for(lambda: wire.http.get(state).json()["next"] == ["linger"], what="the note")
    answer = wire.http.post(f"{wire.path(run_id)}/cancel", params={"wait": "1", "action": "rollback"})
    assert answer.status_code == 200
    assert wire.http.get(state).json()["values"] == {}
    body = {"assistant_id": "noting", "input": {"word": uuid4().hex}}
    after = wire.http.post(f"/threads/{wire.thread}/runs/wait", json=body).json()
    assert word in after["before"]
