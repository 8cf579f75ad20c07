"""What ``config.yaml`` says, and how values come from the environment."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_FILE = Path(__file__).resolve().parent.parent / "config.yaml"
_WHOLE = re.compile(r"\$([A-Za-z_]\w*)")
_INSIDE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")


class MissingVariableError(ValueError):
    """The configuration names a variable that the environment does not have."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelEntry(_Strict):
    """One entry of ``models``. Keys that are not fields here are arguments of the class."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(min_length=1)
    """What ``model_name`` of a run's context chooses."""
    use: str = Field(pattern=r"^[\w.]+:\w+$")
    """``package.module:Class`` of a LangChain chat model."""
    supports_thinking: bool = False
    supports_reasoning_effort: bool = False
    """Whether the class takes ``reasoning_effort``."""
    when_thinking_enabled: dict[str, Any] = {}
    """Arguments that replace or join the entry's own while the run thinks."""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the class gets in any case."""
        return dict(self.model_extra or {})


class StandIn(_Strict):
    """The model that answers when no entry of ``models`` can."""

    pause_seconds: float = Field(0.03, ge=0)


class WorkspaceLimits(_Strict):
    """Where threads keep their files, and how much each may keep."""

    root: Path
    max_file_bytes: int = Field(65_536, ge=1)
    max_files: int = Field(100, ge=1)


class Config(_Strict):
    """The whole file; its paths are absolute."""

    models: list[ModelEntry] = []
    stand_in: StandIn = StandIn()
    workspace: WorkspaceLimits
    notes: Path

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Config":
        names = [entry.name for entry in self.models]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two models are named {', '.join(doubled)}")
        return self


def load_config(environ: Mapping[str, str], path: Path | None = None) -> Config:
    """Read the file; ValueError names it and says what is wrong in it.

    The values of ``models`` stay as they are written: a variable that is missing there costs only its entry.
    """
    path = path or Path(environ.get("LEAD_AGENT_CONFIG") or _FILE)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        rest = from_environment({key: value for key, value in raw.items() if key != "models"}, environ)
        config = Config.model_validate({**rest, "models": raw.get("models") or []})
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{path}: {wrong}") from error
    except (yaml.YAMLError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    limits = config.workspace.model_copy(update={"root": path.parent / config.workspace.root})
    return config.model_copy(update={"workspace": limits, "notes": path.parent / config.notes})


def from_environment(value: Any, environ: Mapping[str, str]) -> Any:
    """*value* with the variables in it replaced; MissingVariableError names one that is not set."""
    if isinstance(value, dict):
        return {key: from_environment(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [from_environment(inner, environ) for inner in value]
    if not isinstance(value, str):
        return value
    if whole := _WHOLE.fullmatch(value):
        return _variable(environ, whole[1], None)
    return _INSIDE.sub(lambda found: _variable(environ, found[1], found[2]), value)


def _variable(environ: Mapping[str, str], name: str, default: str | None) -> str:
    found = environ.get(name) or default
    if found is None:
        raise MissingVariableError(f"{name} is not set")
    return found
