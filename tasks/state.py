"""Questions about graphs, as Celery sees them."""

from typing import Any

from deerflow.runtime.answer import answer as answer_question
from tasks import app


@app.task(bind=True, name="tasks.state.answer")
async def answer(self: Any, question: dict[str, Any]) -> None:
    """Answer one question of the web process."""
    await answer_question(self.resources.backend, question)
