"""The configured models: which of them can be used, and how a run's choices become their arguments."""

import importlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from lead_agent.config import Config, MissingVariableError, ModelEntry, from_environment

if TYPE_CHECKING:
    from lead_agent.context import Context

log = logging.getLogger(__name__)

STAND_IN = "deterministic"
"""Name of the model that answers when no other can."""


class Models:
    """The models that runs may choose from; the first is the default.

    Classes are imported here, once: a run should not be the first to wait for a provider's package.
    """

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._usable: dict[str, tuple[type[BaseChatModel], ModelEntry]] = {}
        self.skipped: dict[str, str] = {}
        """Entries that cannot be used, each with the reason."""
        for entry in config.models:
            self._add(entry, environ)
        if not self._usable:
            self._add(_stand_in(config, self.skipped), environ)

    @property
    def names(self) -> tuple[str, ...]:
        """What ``model_name`` can be."""
        return tuple(self._usable)

    @property
    def default(self) -> str:
        """The model of a run that chooses none."""
        return self.names[0]

    def check(self, name: str) -> str:
        """The same *name*, if it is that of a usable model; else ValueError says which there are."""
        if name in self._usable:
            return name
        reason = (
            f" is configured but cannot be used: {self.skipped[name]}" if name in self.skipped else " is not configured"
        )
        raise ValueError(f"the model {name!r}{reason}; there is {', '.join(self.names)}")

    def build(self, context: "Context", *, thinking: bool | None = None) -> BaseChatModel:
        """The model that a run chose, thinking as the run wants it to unless *thinking* says otherwise."""
        chosen, entry = self._usable[self.check(context.model_name)]
        thinking = context.thinking_enabled if thinking is None else thinking
        arguments = entry.arguments
        if thinking and entry.supports_thinking:
            arguments |= entry.when_thinking_enabled
        if entry.supports_reasoning_effort:
            arguments["reasoning_effort"] = context.reasoning_effort if thinking else "minimal"
        return chosen(**arguments)

    def _add(self, entry: ModelEntry, environ: Mapping[str, str]) -> None:
        """Take an entry, or log why not. A key may well not be set; one without its package is a mistake."""
        try:
            filled = ModelEntry.model_validate(from_environment(entry.model_dump(), environ))
            self._usable[entry.name] = (_import(entry.use), filled)
        except MissingVariableError as error:
            self.skipped[entry.name] = str(error)
            log.info("The model %s is skipped: %s", entry.name, error)
        except ImportError as error:
            self.skipped[entry.name] = str(error)
            log.warning("The model %s is skipped: %s", entry.name, error)


def _import(use: str) -> type[BaseChatModel]:
    where, _, name = use.partition(":")
    package = where.partition(".")[0]
    try:
        found: Any = getattr(importlib.import_module(where), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{where} is not installed (pip install {package.replace('_', '-')})") from error
    except AttributeError:
        raise ImportError(f"{where} has no {name}") from None
    if not (isinstance(found, type) and issubclass(found, BaseChatModel)):
        raise ImportError(f"{use} is not a LangChain chat model")  # noqa: TRY004 - skipped as one that is not there
    return found


def _stand_in(config: Config, skipped: Mapping[str, str]) -> ModelEntry:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items()) or "no model is configured"
    return ModelEntry.model_validate(
        {
            "name": STAND_IN,
            "use": "lead_agent.fake_model:DeterministicModel",
            "supports_thinking": True,
            "supports_reasoning_effort": True,
            "when_thinking_enabled": {"thinking": True},
            "reasons": reasons,
            "pause_seconds": config.stand_in.pause_seconds,
        }
    )
