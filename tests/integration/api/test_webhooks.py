"""A run's webhook on the wire: kept with the run, and refused where it may not go."""

from uuid import UUID

import pytest

from deerflow.api.mounts import MOUNTS
from deerflow.storage import runs
from tests.factories import LOCAL_USER
from tests.integration.api.conftest import by_mount, detail

URL = "https://user:pass@hooks.example.org/hook?a=b"


@by_mount
def test_a_webhook_is_kept_with_the_run(create, backend, thread, mount):
    answer = create(mount, webhook=URL).get_json()
    assert answer["kwargs"]["webhook"] == URL
    with backend.db.read() as tx:
        assert runs.get(tx, LOCAL_USER, UUID(thread), UUID(answer["run_id"])).kwargs["webhook"] == URL


@by_mount
def test_no_webhook(create, mount):
    assert create(mount).get_json()["kwargs"]["webhook"] is None
    assert create(mount, webhook=None, multitask_strategy="enqueue").get_json()["kwargs"]["webhook"] is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://example.org/", "Webhook host blocked: scheme 'ftp' not allowed"),
        ("http://example.org/", "Webhook host blocked: scheme 'http' not allowed; use https"),
        ("/hook", "Loopback webhooks (URLs without a host) are disabled by default; give the whole URL, such as "),
        ("https://127.0.0.1/", "Loopback webhooks, such as to '127.0.0.1', are disabled by default"),
        ("https://169.254.169.254/latest", "Webhook host blocked: '169.254.169.254' is at a link-local address"),
        ("https://10.1.2.3/", "Webhook host blocked: '10.1.2.3' is at a private address"),
        ("", "webhook: must be a URL of printable ASCII characters"),
        (5, "webhook: Input should be a valid string"),
    ],
)
def test_a_webhook_that_may_not_go_there(create, web, thread, url, told):
    """scenario 53: one sentence, and no run"""
    for mount in MOUNTS:
        assert detail(create(mount, webhook=url), 422).startswith(told)
    assert web.get(f"/threads/{thread}/runs").get_json() == []


@by_mount
def test_a_wrong_webhook_in_a_batch_starts_none_of_it(web, mount):
    batch = [{"assistant_id": "steps"}, {"assistant_id": "steps", "webhook": "https://localhost/"}]
    assert "Loopback webhooks" in detail(web.post(f"{mount.prefix}/runs/batch", json=batch), 422)
    assert web.post("/threads/count", json={}).get_json() == 0


@by_mount
def test_a_stateless_run_has_a_webhook_too(web, mount):
    answer = web.post(f"{mount.prefix}/runs", json={"assistant_id": "steps", "webhook": URL})
    assert answer.get_json()["kwargs"]["webhook"] == URL
