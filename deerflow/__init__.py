"""DeerFlow on Celery: a self-hosted run server for LangGraph agents."""

__version__ = "0.1.0"
