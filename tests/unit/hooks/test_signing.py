"""Signatures, and the secret that makes them."""

import base64
import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deerflow.errors import ConfigError
from deerflow.hooks.signing import kept_secret, keys_of, new_secret, secret_in_force, signature
from deerflow.settings import Settings

ID = "0192d1c0-0000-7000-8000-000000000001"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="


def test_signature_is_what_the_definition_says() -> None:
    """The expected value was computed with ``openssl dgst -hmac`` over ``id.timestamp.body``."""
    made = signature(keys_of(SECRET), ID, 1_700_000_000, b'{"status":"success"}')
    assert made == "v1,NzJVVI17MReFE0HxyYiZv4Cw6X5UObRemMbnI2E4Egk="


def test_two_secrets_make_two_signatures() -> None:
    """Each receiver finds the one of the secret that it knows."""
    other = new_secret()
    both = signature(keys_of(f"{SECRET} {other}"), ID, 1, b"x").split(" ")
    assert both == [signature(keys_of(secret), ID, 1, b"x") for secret in (SECRET, other)]


def test_the_pages_recipe_checks_a_signature() -> None:
    """The six lines of docs/webhooks.md take what we send, and nothing else."""
    page = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    recipe = page.split("```python\n")[1].split("```")[0]
    known: dict[str, object] = {"base64": base64, "hmac": hmac}
    exec(compile(recipe, "recipe", "exec"), known)
    is_genuine = known["is_genuine"]
    headers = {"webhook-id": ID, "webhook-timestamp": "1"}
    headers["webhook-signature"] = signature(keys_of(f"{new_secret()} {SECRET}"), ID, 1, b"x")
    assert is_genuine(SECRET, headers, b"x")
    assert not is_genuine(SECRET, headers, b"y")
    assert not is_genuine(SECRET, headers | {"webhook-id": "other"}, b"x")
    assert not is_genuine(new_secret(), headers, b"x")


@pytest.mark.parametrize(
    "wrong", ["secret", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", "whsec_\u00e9", SECRET[6:]]
)
def test_a_wrong_secret_is_told_without_showing_it(wrong: str) -> None:
    with pytest.raises(ConfigError) as raised:
        keys_of(wrong)
    assert str(raised.value) == "A webhook secret must look like whsec_<base64 of at least 24 bytes>"


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """Whoever comes first makes it, all at once read the same one, and nothing else stays in the folder."""
    file = tmp_path / "data" / "webhook-secret"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: kept_secret(file), range(8)))
    assert len(found) == 1
    assert len(keys_of(found.pop())) == 1
    assert [path.name for path in file.parent.iterdir()] == ["webhook-secret"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_which_secret_counts(tmp_path: Path) -> None:
    """The one that is set; else the data folder's, but none where several machines would have to agree on it."""
    shared = {"database_url": "postgresql://db/x", "data": tmp_path}
    assert secret_in_force(Settings(webhook_secret=SECRET, **shared)) == SECRET
    assert secret_in_force(Settings(**shared)) == ""
    assert list(tmp_path.iterdir()) == []
    kept = secret_in_force(Settings(data=tmp_path))
    assert kept == secret_in_force(Settings(data=tmp_path)) != ""
    assert secret_in_force(Settings(data=tmp_path, webhook_secret=SECRET)) == SECRET


def test_a_folder_that_takes_no_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be kept"):
        kept_secret(tmp_path / "file" / "webhook-secret")


def test_a_secret_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(Settings(webhook_secret=SECRET))


def test_what_is_no_secret_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is named and not shown; also when it is given as a file."""
    (tmp_path / "secret").write_text("my-password\n")
    monkeypatch.setenv("DEERFLOW_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(ConfigError, match=r"webhook_secret: .*must look like whsec_<base64>") as raised:
        Settings.from_env()
    assert "my-password" not in str(raised.value)
    (tmp_path / "secret").write_text(SECRET + "\n")
    assert Settings.from_env().webhook_secret == SECRET
