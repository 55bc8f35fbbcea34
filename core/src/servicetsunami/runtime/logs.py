"""Logging: to standard error, for people on a terminal and as JSON elsewhere, and never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

from servicetsunami.runtime.redaction import Redactor

if TYPE_CHECKING:
    from structlog.typing import Processor

LogFormat = Literal["auto", "console", "json"]


def configure_logging(level: str, fmt: LogFormat, redactor: Redactor, *, stream: TextIO | None = None) -> None:
    """Send every log record of this process, those of libraries too, to standard error (or `stream`)."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    as_json = fmt == "json" or (fmt == "auto" and not target.isatty())
    handler.addFilter(redactor)
    handler.setFormatter(_Formatter(redactor, as_json=as_json, colors=target.isatty()))
    root = logging.getLogger()
    for previous in [present for present in root.handlers if isinstance(present.formatter, _Formatter)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(level.upper())


class _Formatter(logging.Formatter):
    """Formats with structlog, which is imported with the first record: most processes log none."""

    def __init__(self, redactor: Redactor, *, as_json: bool, colors: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._as_json = as_json
        self._colors = colors
        self._inner: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON, or lines for a person."""
        if self._inner is None:
            self._inner = self._build()
        return self._inner.format(record)

    def _build(self) -> logging.Formatter:
        import structlog

        processors = structlog.stdlib.ProcessorFormatter
        return processors(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _add_exception,
            ],
            processors=[processors.remove_processors_meta, self._redact, self._renderer()],
        )

    def _renderer(self) -> Processor:
        import structlog

        if self._as_json:
            return structlog.processors.JSONRenderer(ensure_ascii=False)
        # The traceback of the default formatter shows local variables, which hold credentials.
        plain = structlog.dev.plain_traceback
        return structlog.dev.ConsoleRenderer(colors=self._colors, exception_formatter=plain)

    def _redact(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: self._redactor.value(value) for name, value in event.items()}


def _add_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    text = event["_record"].exc_text
    if text:
        event["exception"] = text
    return event
