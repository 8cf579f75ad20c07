"""What a form about questions says."""

import time

from werkzeug.datastructures import MultiDict

from deerflow.web.questions import read_form

ID = "1" * 32


def test_a_question_that_a_form_names_very_often_is_read_once() -> None:
    """Reading it each time would take minutes, in which the process answers nobody."""
    asked = {
        "action_requests": [{"name": "act", "args": {}}] * 1_000,
        "review_configs": [{"action_name": "act", "allowed_decisions": ["approve"]}],
    }
    form = MultiDict([("interrupt", ID)] * 10_000 + [("kind.0.999", "approve")])
    begun = time.process_time()
    assert [each.draft.kind for each in read_form(form, {ID: asked})[ID]] == [""] * 999 + ["approve"]
    assert time.process_time() - begun < 1
