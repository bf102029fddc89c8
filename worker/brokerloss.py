"""A broker that is lost while tasks run: Celery connects anew, instead of ending the worker.

A channel that was closed with the lost connection has no address left when one of its tasks ends and is acknowledged,
or given back. kombu then fails with an AttributeError; Celery takes that for a fault of the program, and the worker
ends with all that its lane has to do. It is a lost connection, which Celery expects: told so, it goes on. The task
comes again after the visibility timeout, and finds its work done.
"""

from typing import Any

from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError

_channels: Any = Channel


def make_expected() -> None:
    """Lets channels without a connection say so, in all of this process. Twice is harmless."""
    if hasattr(_channels, "every8d_connparams"):
        return
    _channels.every8d_connparams = _channels._connparams

    def connparams(channel: Any, *arguments: Any, **named: Any) -> Any:
        if channel.connection.client is None:
            raise RedisConnectionError("the connection to the broker is closed")
        return channel.every8d_connparams(*arguments, **named)

    _channels._connparams = connparams
