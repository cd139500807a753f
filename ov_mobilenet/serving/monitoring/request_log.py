"""`RequestLog`: one line for each request on stderr, as text or as JSON.

    2026-01-31T12:00:00.123Z rest infer signs 200 3.2 ms 1 image id=4f1c…
    2026-01-31T12:00:00.123Z rest infer - 404 0.4 ms 0 images id=4f1c… error: unknown model: …

With `json`, every other log message of the process is a JSON line too: see `LogLines`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct, json

from ov_mobilenet.errors import printable
from ov_mobilenet.serving.monitoring.line_writer import LineWriter

if TYPE_CHECKING:
    from ov_mobilenet.serving.monitoring.observation import RequestRecord
    from ov_mobilenet.serving.settings import LogFormat

# Asked for again and again by machines: logged at DEBUG only. The names of REST's and of gRPC's operations.
PROBES = frozenset({
    "live", "ready", "model_ready", "metrics", "status",
    "ServerLive", "ServerReady", "ModelReady", "Check", "Watch",
})  # fmt: skip
MAX_ERROR, MAX_NAME, MAX_ID = 500, 100, 128  # characters


class RequestLine(Struct):
    """The JSON object of a request."""

    time: str
    level: str
    transport: str
    operation: str
    model: str
    version: str
    code: str
    duration_ms: float
    images: int
    request_id: str
    trace_id: str
    error: str | None


class MessageLine(Struct, omit_defaults=True):
    """The JSON object of another log message."""

    time: str
    level: str
    logger: str
    message: str
    error: str | None = None


class RequestLog:
    """Writes a line for each request that ends; writing happens in a thread of its own.

    Attributes:
        writer: takes the lines; its `dropped` counts those that stderr was too slow for.
    """

    def __init__(
        self, log_format: LogFormat = "text", *, level: int = logging.INFO, stream: TextIO | None = None
    ) -> None:
        """Start to write.

        Args:
            level: requests are INFO, failed ones WARNING, failures of the server ERROR, and probes DEBUG.
            stream: None for stderr.
        """
        self.log_format = log_format
        self.writer = LineWriter(self._dropped_line, stream)
        self._level = level
        self._clock = _Clock()
        self._encode = json.Encoder().encode

    def observe(self, record: RequestRecord) -> None:
        """Log a request that has ended."""
        level = _level_of(record)
        if level < self._level:
            return
        now = self._clock.text()
        if self.log_format == "json":
            line = RequestLine(
                now, logging.getLevelName(level), record.transport, record.operation, _short(record.model, MAX_NAME),
                _short(record.version, MAX_NAME), record.code, round(record.duration_s * 1e3, 3), len(record.inferred),
                _short(record.request_id, MAX_ID), record.trace_id,
                None if record.error is None else _short(record.error, MAX_ERROR),
            )  # fmt: skip
            self.writer.write(self._encode(line).decode())
        else:
            self.writer.write(f"{now} {_as_text(record)}")

    def close(self) -> None:
        """Write the lines that wait, and end."""
        self.writer.close()

    def _dropped_line(self, count: int) -> str:
        message = f"{count} log lines were dropped: stderr is too slow"
        if self.log_format == "text":
            return f"{self._clock.text()} warning: {message}"
        return self._encode(MessageLine(self._clock.text(), "WARNING", __name__, message)).decode()


class LogLines(logging.Handler):
    """Writes the log messages of the process into the same lines as the requests."""

    def __init__(self, log: RequestLog, level: int) -> None:
        super().__init__(level)
        self._writer = log.writer
        self.setFormatter(JsonFormatter() if log.log_format == "json" else TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        try:
            self._writer.write(self.format(record))
        except Exception:  # noqa: BLE001 - as in logging's own handlers: a message that cannot be formatted
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """A log message as one JSON object in one line: `{"time", "level", "logger", "message", "error"}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        error = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        line = MessageLine(
            _Clock.text_of(record.created), record.levelname, record.name, _visible(record.getMessage()),
            None if error is None else _visible(error),
        )  # fmt: skip
        return json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """A log message with its time and level; a traceback follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        text = f"{_Clock.text_of(record.created)} {record.levelname.lower()}: {printable(record.getMessage())}"
        error = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        return text if error is None else f"{text}\n{_visible(error)}"


@contextmanager
def process_log(log: RequestLog, level: int) -> Iterator[None]:
    """Let all log messages of the process from `level` on go through `log`, until the end of the `with` block."""
    root, own = logging.getLogger(), logging.getLogger("ov_mobilenet")
    before = [(logger, logger.level, logger.handlers[:], logger.propagate) for logger in (root, own)]
    root.handlers[:] = [LogLines(log, level)]
    root.setLevel(max(level, logging.INFO))  # DEBUG of all libraries together would be a flood
    own.handlers[:] = []
    own.setLevel(level)
    own.propagate = True
    try:
        yield
    finally:
        for logger, its_level, handlers, propagates in before:
            logger.handlers[:] = handlers
            logger.setLevel(its_level)
            logger.propagate = propagates


class _Clock:
    """The time in UTC, as in RFC 3339; the text of a second is made once."""

    def __init__(self) -> None:
        self._second, self._text = -1, ""

    def text(self) -> str:
        """Now."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._text}.{int((now - second) * 1000):03}Z"

    @staticmethod
    def text_of(moment: float) -> str:
        """A moment in seconds since 1970."""
        start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
        return f"{start}.{int(moment % 1 * 1000):03}Z"


def _level_of(record: RequestRecord) -> int:
    if record.operation in PROBES:
        return logging.DEBUG
    if record.error is None:
        return logging.INFO
    is_ours = (record.code.startswith("5") and record.code != "504") or record.code in (
        "INTERNAL",
        "UNKNOWN",
        "UNAVAILABLE",
        "DATA_LOSS",
    )
    return logging.ERROR if is_ours else logging.WARNING


def _as_text(record: RequestRecord) -> str:
    images = len(record.inferred)
    text = (
        f"{record.transport} {record.operation or '-'} {_short(record.model, MAX_NAME) or '-'} {record.code}"
        f" {record.duration_s * 1e3:.1f} ms {images} {'image' if images == 1 else 'images'}"
        f" id={_short(record.request_id, MAX_ID)}"
    )
    if record.trace_id:
        text += f" trace={record.trace_id}"
    return text if record.error is None else f"{text} error: {_short(record.error, MAX_ERROR)}"


def _short(text: str, limit: int) -> str:
    """Text of a client: one line without control characters, of at most `limit` characters."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = printable(text[:limit])[:limit]
    return shown if len(text) <= limit else f"{shown[: limit - 1]}…"


def _visible(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))
