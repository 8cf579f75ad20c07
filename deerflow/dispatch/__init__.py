"""Celery at arm's length."""
