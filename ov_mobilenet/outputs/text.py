"""The outputs that are text: each result is written, and flushed, as one piece as soon as it is known."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ov_mobilenet.errors import printable
from ov_mobilenet.outputs.rows import COLUMNS, Cell, rows_of
from ov_mobilenet.outputs.sink import Sink, encodable
from ov_mobilenet.runtime.results import Classification, Result

SCHEMA_VERSION = 1
CSV_HEADER = ",".join(COLUMNS) + "\n"


class TextOut(Protocol):
    """Any text file: `sys.stdout`, an open file, or an `OutputFile`, which never keeps half a record."""

    def write(self, text: str, /) -> object:
        """Append the text."""

    def flush(self) -> object:
        """Hand it to the system."""


class JsonLines(Sink):
    """One line an image."""

    def __init__(self, out: TextOut) -> None:
        self._out = out

    def put(self, result: Result) -> None:
        """Write the line."""
        self._out.write(msgspec.json.encode(encodable(result)).decode() + "\n")
        self._out.flush()


class Json(Sink):
    """One document of all results, written at the end: the one form that a killed run leaves nothing of."""

    def __init__(self, out: TextOut) -> None:
        self._out = out
        self._lines: list[msgspec.Raw] = []

    def put(self, result: Result) -> None:
        """Keep the result."""
        self._lines.append(msgspec.Raw(msgspec.json.encode(encodable(result))))

    def close(self) -> None:
        """Write the document."""
        document = msgspec.json.encode({"schema_version": SCHEMA_VERSION, "results": self._lines})
        self._out.write(msgspec.json.format(document, indent=2).decode() + "\n")
        self._out.flush()


class Csv(Sink):
    """The rows of `rows.py`, floats with as many digits as it takes to read the same float back.

    Args:
        header: whether to write the names of the columns first; not where rows are added to a file.
    """

    def __init__(self, out: TextOut, *, header: bool = True) -> None:
        self._out = out
        if header:
            out.write(CSV_HEADER)
            out.flush()

    def put(self, result: Result) -> None:
        """Write the rows."""
        self._out.write("".join(",".join(map(_cell, row)) + "\n" for row in rows_of(result)))
        self._out.flush()


def _cell(value: Cell) -> str:
    """As RFC 4180 has it. Python's own writer leaves a carriage return bare before 3.13, and readers break there."""
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    if any(character in value for character in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


class Table(Sink):
    """A block an image: its name, then a line a class.

    Args:
        least: the probability below which classes were left out, to be named where none is left.
    """

    def __init__(self, out: TextOut, *, least: float | None = None) -> None:
        self._out = out
        self._least = least

    def put(self, result: Result) -> None:
        """Write the block. Failures have none: they are told on stderr."""
        if not isinstance(result, Classification):
            return
        frame = "" if result.frame is None else f"  frame {result.frame}"
        rows = [f"  {p.probability:7.2%}  {p.class_id:>5}  {printable(p.label)}" for p in result.predictions]
        if not rows:
            rows = [f"  nothing at or above {self._least:g}" if self._least is not None else "  nothing"]
        head = f"{printable(result.source)}{frame}  ({result.timings_ms.total:.1f} ms)"
        self._out.write("\n".join([head, *rows]) + "\n")
        self._out.flush()
