"""Logs: one line an event, as JSON or for a console; secrets and people's data masked, whoever wrote the line."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

#: A phone number, in any of the forms that reach us: `+886 912-345-678`, `0912345678`, `%2B8869…`. Ids have letters
#: beside their digits, or a hyphen before them; Chinese characters may stand right at a number.
_NUMBER = re.compile(
    r"(?:\+|%2[Bb])\d(?:[ -]?\d){7,14}|(?<![0-9A-Za-z_])09(?:[ -]?\d){8}(?![0-9A-Za-z_])"
    r"|(?<![0-9A-Za-z_-])8869\d{8}(?![0-9A-Za-z_])",
    re.ASCII,
)
_SECRET = re.compile(r"(?i)(password|session_?key|secret|token)(['\"]?\s*[=:>]\s*['\"]?)[^\s'\"<>,&]+")
#: A session key wherever it stands: 32 hexadecimal digits. Ids of ours have hyphens.
_KEY = re.compile(r"(?<![0-9A-Za-z-])[0-9A-Fa-f]{32}(?![0-9A-Za-z-])")
_ADDRESS = re.compile(r"(://[^\s/:@]*):[^\s/@]+@")
#: What would move a terminal's cursor, colour it, turn text around or begin a line that nobody wrote.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
#: Tracebacks, whose lines are ours.
_MANY_LINES = frozenset({"exception", "stack"})
_HIDDEN = frozenset({"number", "mobile", "to", "text", "content", "password", "session_key"})


def mask(text: str) -> str:
    """The text without phone numbers and values of secrets, and with control characters but line ends written out."""
    text = _CONTROL.sub(_written, text)
    safe = _ADDRESS.sub(r"\1:***@", _NUMBER.sub("+***", text))
    return _KEY.sub("***", _SECRET.sub(r"\1\2***", safe))


def _written(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _masked(value: Any) -> Any:
    """The same for whatever a line may carry."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {str(key): "***" if key in _HIDDEN else _masked(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(str(value))


def _mask_event(_logger: Any, _name: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        # structlog's own keys carry what its renderer needs.
        if key in _HIDDEN:
            event[key] = "***"
        elif not key.startswith("_") and key != "exc_info":
            event[key] = _masked(value)
    for key, value in event.items():
        if isinstance(value, str) and key not in _MANY_LINES and "\n" in value:
            event[key] = value.replace("\n", "\\n")
    return event


def configure(form: str, level: str) -> None:
    """Sends structlog's and logging's lines alike to stderr. `form`: console or json."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _mask_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # A line for each task is half a page for each campaign, and says nothing that the ledger does not know.
    for name in ("celery.worker.strategy", "celery.app.trace", "redbeat", "celery.beat"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def bind_process(name: str) -> None:
    """Names this process in each of its lines."""
    structlog.contextvars.bind_contextvars(process=name)
