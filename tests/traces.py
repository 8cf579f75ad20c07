"""Traces: files in which the nodes of our graphs leave lines, and beside which a test holds a node where it is."""

from pathlib import Path


def lines(trace: Path) -> list[str]:
    """What nodes have written so far, also those who died over it."""
    return trace.read_text().splitlines() if trace.exists() else []


def hold(trace: Path, node: str) -> None:
    """Let a node that leaves its lines there stay where it is until it is let go."""
    _beside(trace).write_text(node)


def let_go(trace: Path) -> None:
    """Hold nothing there any more."""
    _beside(trace).unlink()


def _beside(trace: Path) -> Path:
    return trace.with_name(f"{trace.name}.hold")
