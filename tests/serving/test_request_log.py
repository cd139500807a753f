"""The log of requests, as text and as JSON, into a stream that may be slow."""

from __future__ import annotations

import io
import json
import logging
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ov_mobilenet.runtime.async_queue import InferredImage
from ov_mobilenet.runtime.results import Timings
from ov_mobilenet.serving.monitoring.line_writer import LineWriter
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.monitoring.request_log import RequestLog, process_log
from ov_mobilenet.serving.settings import LogFormat

IMAGE = InferredImage(np.zeros(3, np.float32), Timings(total=2.5))
DONE = RequestRecord(
    "rest", "infer", "signs", "1", "200", 0.00325, "request-1", "4bf92f3577b34da6a3ce929d0e0e4736", None, (IMAGE,)
)  # fmt: skip
HOSTILE = 'line\nbreak \x1b[31m "quoted" \u202e'


def logged(log_format: LogFormat, *records: RequestRecord, level: int = logging.INFO) -> list[str]:
    stream = io.StringIO()
    log = RequestLog(log_format, level=level, stream=stream)
    for record in records:
        log.observe(record)
    log.close()
    return stream.getvalue().splitlines()


def test_one_json_object_in_a_line() -> None:
    (line,) = logged("json", DONE)
    document = json.loads(line)
    assert document.pop("time").endswith("Z")
    assert document == {
        "level": "INFO", "transport": "rest", "operation": "infer", "model": "signs", "version": "1", "code": "200",
        "duration_ms": 3.25, "images": 1, "request_id": "request-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "error": None,
    }  # fmt: skip


def test_a_line_of_text() -> None:
    (line,) = logged("text", DONE)
    for part in ("rest", "infer", "signs", "200", "request-1"):
        assert part in line


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_hostile_texts_stay_in_one_line_of_bounded_length(log_format: LogFormat) -> None:
    hostile = replace(DONE, code="400", error=HOSTILE + "x" * 10_000)
    lines = logged(log_format, hostile, DONE)
    assert len(lines) == 2
    assert lines[0].isprintable()
    assert len(lines[0]) < 1500


def test_levels() -> None:
    probe, refused = replace(DONE, operation="live"), replace(DONE, code="404", error="unknown model")
    failed = replace(DONE, code="500", error="internal error")
    assert [json.loads(line)["code"] for line in logged("json", DONE, refused, failed, level=logging.ERROR)] == ["500"]
    levels = [json.loads(line)["level"] for line in logged("json", DONE, refused, failed, probe, level=logging.DEBUG)]
    assert levels == ["INFO", "WARNING", "ERROR", "DEBUG"]
    assert len(logged("json", probe)) == 0


def test_messages_of_the_process_are_lines_of_the_same_log() -> None:
    stream = io.StringIO()
    log = RequestLog("json", stream=stream)
    with process_log(log, logging.INFO):
        logging.getLogger("ov_mobilenet.serving").warning("a message\nof two lines")
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("another.library").exception("failed")
    log.close()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["logger"]) == ("WARNING", "ov_mobilenet.serving")
    assert "a message" in first["message"]
    assert "ValueError: broken" in second["error"]


class SlowStream(io.StringIO):
    """A stream whose reader reads nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck = threading.Event()
        self.may_write = threading.Event()

    def write(self, text: str, /) -> int:
        self.is_stuck.set()
        self.may_write.wait(60)
        return super().write(text)


def test_a_slow_stream_makes_nobody_wait_and_what_is_dropped_is_counted() -> None:
    stream: Any = SlowStream()
    writer = LineWriter(lambda count: f"{count} dropped", stream, max_lines=10)
    writer.write("first")
    assert stream.is_stuck.wait(60)
    for number in range(30):  # none of them waits
        writer.write(f"line {number}")
    assert writer.dropped == 20
    stream.may_write.set()
    writer.close()
    assert stream.getvalue().splitlines() == ["first", *(f"line {number}" for number in range(10)), "20 dropped"]
