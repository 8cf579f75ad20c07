"""Questions about graphs, as Celery sees them."""

from typing import Any

from deerflow.runtime.answer import answer as answer_question
from tasks import app


# No events of Celery: three messages more to Redis for each question, and nobody watches questions.
@app.task(bind=True, name="tasks.state.answer", send_events=False)
async def answer(self: Any, question: dict[str, Any]) -> None:
    """Answer one question of the web process."""
    await answer_question(self.resources.backend, question)
