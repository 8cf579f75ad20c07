"""What the lead agent can do. A tool that cannot do it raises ToolException, whose text is for the model."""

from langchain_core.tools import ToolException


def explain(error: ToolException) -> str:
    """What the model hears of a tool that could not do what was asked; any other error ends the run."""
    return str(error)
