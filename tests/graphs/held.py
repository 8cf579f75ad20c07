"""Whether a test holds a node, so that it is certainly under way while the test acts on it."""

from pathlib import Path


def is_held(state, name):
    """Whether the file beside the state's ``trace`` names it; a test writes that file, and takes it away."""
    try:
        return bool(state.get("trace")) and Path(state["trace"] + ".hold").read_text() == name
    except FileNotFoundError:
        return False
