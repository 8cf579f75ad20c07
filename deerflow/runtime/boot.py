"""What must hold before serving: the schema is there, and every graph has its system assistant."""

from typing import Any

from deerflow.backend import Backend, WorkerBackend
from deerflow.domain.principal import SYSTEM
from deerflow.storage import assistants


def boot(backend: Backend) -> None:
    """Make sure of it; harmless when several processes do so at once."""
    with backend.db.begin() as tx:
        graphs = backend.project.graphs
        assistants.ensure_system(tx, {graph_id: source.description for graph_id, source in graphs.items()})


async def tell_schemas(backend: WorkerBackend) -> None:
    """Let the web process know what contexts the graphs of this worker take."""
    schemas = await backend.graphs.context_schemas(backend.savers.store(SYSTEM))
    await backend.sql(_keep_schemas, backend, schemas)


def _keep_schemas(backend: Backend, schemas: dict[str, dict[str, Any] | None]) -> None:
    with backend.db.begin() as tx:
        for graph_id, schema in schemas.items():
            assistants.tell_context_schema(tx, graph_id, schema)
