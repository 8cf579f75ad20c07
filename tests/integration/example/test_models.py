"""The configuration: models from LangChain classes, variables from the environment, and mistakes that are named."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from lead_agent.config import Config, load_config
from lead_agent.context import Context
from lead_agent.fake_model import DeterministicModel
from lead_agent.models import STAND_IN, Models

REST = {"workspace": {"root": "files"}, "notes": "notes"}
FAKE = "lead_agent.fake_model:DeterministicModel"


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Writes a configuration file with these models and reads it."""

    def write(*models: dict[str, Any], environ: dict[str, str] | None = None, **rest: Any) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump({**REST, **rest, "models": list(models)}))
        return load_config({**(environ or {}), "LEAD_AGENT_CONFIG": str(path)})

    return write


def build(models: Models, **context: Any) -> DeterministicModel:
    """The model of a run with this context."""
    built = models.build(Context.model_validate({"model_name": models.default, **context}))
    assert isinstance(built, DeterministicModel)
    return built


def test_the_first_is_the_default(written: Any) -> None:
    """Order in the file decides; names are kept in it."""
    models = Models(written({"name": "b", "use": FAKE, "model": "B"}, {"name": "a", "use": FAKE, "model": "A"}), {})
    assert (models.default, models.names) == ("b", ("b", "a"))
    assert build(models).model == "B"
    assert build(models, model_name="a").model == "A"


def test_variables(written: Any) -> None:
    """$NAME is the whole value, ${NAME} a part of one, also deeper down; other dollars stay."""
    entry = {
        "name": "a",
        "use": FAKE,
        "model": "$MODEL",
        "reasons": "at ${HOST}:${PORT:-80} for $5",
        "metadata": {"keys": ["$MODEL", "x"]},
    }
    model = build(Models(written(entry), {"MODEL": "m", "HOST": "h"}))
    assert (model.model, model.reasons) == ("m", "at h:80 for $5")
    assert (model.metadata or {})["keys"] == ["m", "x"]


def test_what_cannot_be_used_is_skipped(written: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each skipped entry is logged with its reason; the default is the first that is left."""
    caplog.set_level(logging.INFO)
    config = written(
        {"name": "keyless", "use": FAKE, "api_key": "$NO_SUCH_KEY"},
        {"name": "empty", "use": FAKE, "api_key": "$EMPTY"},
        {"name": "absent", "use": "langchain_nowhere.chat:Chat", "api_key": "$KEY"},
        {"name": "renamed", "use": "lead_agent.fake_model:NoSuchModel"},
        {"name": "other", "use": "lead_agent.config:Config"},
        {"name": "good", "use": FAKE},
    )
    models = Models(config, {"KEY": "hush-hush", "EMPTY": ""})
    assert models.names == ("good",)
    assert models.skipped == {
        "keyless": "NO_SUCH_KEY is not set",
        "empty": "EMPTY is not set",
        "absent": "langchain_nowhere.chat is not installed (pip install langchain-nowhere)",
        "renamed": "lead_agent.fake_model has no NoSuchModel",
        "other": "lead_agent.config:Config is not a LangChain chat model",
    }
    for name, reason in models.skipped.items():
        assert f"The model {name} is skipped: {reason}" in caplog.messages
    assert "hush-hush" not in caplog.text
    with pytest.raises(
        ValueError, match="'keyless' is configured but cannot be used: NO_SUCH_KEY is not set; there is good"
    ):
        models.check("keyless")
    with pytest.raises(ValueError, match="'nope' is not configured; there is good"):
        models.check("nope")


def test_nothing_left(written: Any) -> None:
    """Without a usable model there is exactly the stand-in, at the configured pace."""
    for config in (written(), written({"name": "a", "use": FAKE, "model": "$NO_SUCH_NAME"})):
        models = Models(
            config.model_copy(update={"stand_in": config.stand_in.model_copy(update={"pause_seconds": 7})}), {}
        )
        assert models.names == (STAND_IN,)
        assert build(models).pause_seconds == 7


def test_thinking_and_effort_become_arguments(written: Any) -> None:
    """An entry that can think gets its arguments for it; one that cannot is left alone."""
    able = {
        "name": "able",
        "use": FAKE,
        "model": "plain",
        "supports_thinking": True,
        "supports_reasoning_effort": True,
        "when_thinking_enabled": {"thinking": True, "model": "thinker"},
    }
    models = Models(written(able, {"name": "unable", "use": FAKE}), {})
    thinking = build(models, reasoning_effort="high")
    assert (thinking.model, thinking.thinking, thinking.reasoning_effort) == ("thinker", True, "high")
    quick = build(models, reasoning_effort="high", thinking_enabled=False)
    assert (quick.model, quick.thinking, quick.reasoning_effort) == ("plain", False, "minimal")
    unable = build(models, model_name="unable", reasoning_effort="high")
    assert (unable.thinking, unable.reasoning_effort) == (False, "medium")


@pytest.mark.parametrize(
    ("rest", "models", "said"),
    [
        ({}, [{"name": "a", "use": "no colon"}], "models.0.use"),
        ({}, [{"use": FAKE}], "models.0.name"),
        ({}, [{"name": "a", "use": FAKE}] * 2, "two models are named a"),
        ({"modles": []}, [], "modles"),
        ({"stand_in": {"pause_seconds": -1}}, [], "stand_in.pause_seconds"),
        ({"workspace": {"root": "$NO_SUCH_FOLDER"}}, [], "NO_SUCH_FOLDER is not set"),
    ],
)
def test_a_mistake_is_named(written: Any, rest: dict[str, Any], models: list[Any], said: str) -> None:
    """A mistake in the file stops the import with the file's name and the place."""
    with pytest.raises(ValueError, match=rf"config\.yaml: .*{said}"):
        written(*models, **rest)


@pytest.mark.parametrize("text", ["models: [", "just words", "- a\n- b"])
def test_not_a_configuration(tmp_path: Path, text: str) -> None:
    """A file of another kind is named too."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml"):
        load_config({}, path)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(ValueError, match=r"nowhere\.yaml: No such file"):
        load_config({"LEAD_AGENT_CONFIG": str(tmp_path / "nowhere.yaml")})


def test_relative_paths_start_at_the_file(written: Any, tmp_path: Path) -> None:
    """Where the server was started does not matter; DEERFLOW_DATA moves the example's files to the server's."""
    assert written().workspace.root == tmp_path / "files"
    assert written().notes == tmp_path / "notes"
    assert load_config({"DEERFLOW_DATA": "/var/data"}).workspace.root == Path("/var/data/workspaces")
    assert load_config({}).workspace.root.is_absolute()
