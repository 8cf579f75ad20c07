"""What a run can choose: the keys of its ``context``."""

from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, Field, create_model, field_validator

from lead_agent.models import Models

Effort = Literal["minimal", "low", "medium", "high"]


class Context(BaseModel):
    """How the lead agent shall work on this run."""

    model_name: str
    """One of the configured models."""
    thinking_enabled: bool = Field(True, description="Let the model think aloud before it answers.")
    reasoning_effort: Effort = Field("medium", description="How long the model thinks.")
    is_plan_mode: bool = Field(False, description="Offer write_todos and keep a plan in the state's todos.")
    subagent_enabled: bool = Field(False, description="Offer task, which delegates to subagents.")
    max_concurrent_subagents: int = Field(3, ge=1, le=8, description="Subagents that work at the same time.")


def context_schema(models: Models) -> type[Context]:
    """The context of an agent with these models; ``model_name`` takes no other name."""
    field = Field(models.default, description="The model that answers.", json_schema_extra={"enum": list(models.names)})

    class _Checked(Context):
        @field_validator("model_name", check_fields=False)
        @classmethod
        def _is_configured(cls, name: str) -> str:
            return models.check(name)

    return create_model("Context", __base__=_Checked, __doc__=Context.__doc__, model_name=(str, field))


def read_context(schema: type[Context], given: Any, config: RunnableConfig) -> Context:
    """The context of this run; what is not in it may be in ``configurable``, as clients of old send it."""
    values = {key: value for key, value in config.get("configurable", {}).items() if key in schema.model_fields}
    if isinstance(given, BaseModel):
        values |= given.model_dump(exclude_unset=True)
    return schema.model_validate(values)
