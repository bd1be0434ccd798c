"""Logs: one JSON object per line for machines, short lines for people on a terminal; no secret in either."""

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from workers.bus.engine.current import handled
from workers.redaction import redact
from workers.terminal import safe

worker_name: contextvars.ContextVar[str | None] = contextvars.ContextVar("worker_name", default=None)
"""The worker in whose engine a line is written; tasks inherit it."""
_FIELDS = ("run", "event", "outcome")
_QUIET = ("aiohttp.access", "uvicorn", "google", "grpc", "asyncio", "dulwich")
_SILENT = ("google.cloud.pubsub_v1.subscriber",)
"""They warn, each time with a stack, of what is as it should be: a lease that ended is another delivery."""


def configure_logs(level: str, *, json_lines: bool | None = None) -> None:
    """Send this process's logs to stderr; JSON unless somebody watches on a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    handler.setFormatter(JsonFormatter() if as_json else PeopleFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
        # Google's clients keep to themselves what they log, unless somebody said so before they were imported.
        logging.getLogger(name).propagate = True
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR if logging.getLogger().level > logging.DEBUG else logging.DEBUG)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, worker, run, event, logger, message, stack."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if (worker := getattr(record, "worker", None) or worker_name.get()) is not None:
            line["worker"] = worker
        if (event := handled.get()) is not None:
            line |= {"run": event.run, "event": event.id}
        line |= {name: getattr(record, name) for name in _FIELDS if getattr(record, name, None) is not None}
        if record.exc_info:
            line["stack"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class PeopleFormatter(logging.Formatter):
    """A clock time, the worker, and the sentence."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the stack below it."""
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{clock} {worker_name.get() or 'sealane'}: {level}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return safe(redact(text))
