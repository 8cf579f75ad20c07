"""Times on the wire."""

from deerflow.domain.presented import iso

__all__ = ["iso"]
