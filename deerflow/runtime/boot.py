"""What must hold before serving: the schema is there, and every graph has its system assistant."""

from deerflow.backend import Backend
from deerflow.storage import assistants


def boot(backend: Backend) -> None:
    """Make sure of it; harmless when several processes do so at once."""
    with backend.db.begin() as tx:
        for source in backend.project.graphs.values():
            assistants.ensure_system(tx, source.graph_id, description=source.description)
