"""What a look at a thread's state, or an edit of it, is refused before any graph is asked."""

from flask.testing import FlaskClient

from tests.integration.api.conftest import detail


def test_metadata_that_not_every_store_can_look_for(web: FlaskClient, thread: str) -> None:
    for key in ("", "a b", "é", "a') OR 1=1--"):
        assert "metadata" in detail(web.post(f"/threads/{thread}/history", json={"metadata": {key: 1}}), 422)


def test_parents_of_a_checkpoint_that_are_none(web: FlaskClient, thread: str) -> None:
    """An edit would keep them beside the newest checkpoint, and the thread could not be read any more."""
    for parents in (5, [1], True, "x", {"": 1}, {"": None}):
        body = {"assistant_id": "steps", "values": {"done": []}, "checkpoint": {"checkpoint_map": parents}}
        for path in ("history", "state/checkpoint", "state", "runs"):
            assert "checkpoint_map" in detail(web.post(f"/threads/{thread}/{path}", json=body), 422)
