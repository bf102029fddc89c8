"""The Celery tasks, thin: each unpacks ids and calls one function of the engine."""

from tasks import beat, queue

__all__ = ["beat", "queue"]
