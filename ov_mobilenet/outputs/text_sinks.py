"""The text outputs. Except for `JsonSink`, results are written and flushed as soon as they are known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ov_mobilenet.errors import printable
from ov_mobilenet.outputs.sink import COLUMNS, Cell, Sink, encodable, result_rows
from ov_mobilenet.runtime.results import AnyResult, Classification

SCHEMA_VERSION = 1
CSV_HEADER = ",".join(COLUMNS) + "\n"


class TextWriter(Protocol):
    """A text file: `sys.stdout`, an open file, or an `OutputFile`, which never keeps an incomplete record."""

    def write(self, text: str, /) -> object:
        """Append the text."""

    def flush(self) -> object:
        """Pass buffered text to the operating system."""


class _TextSink(Sink):
    """Writes one text per result; the texts of several results are one write."""

    def __init__(self, out: TextWriter) -> None:
        self._out = out

    def put(self, result: AnyResult) -> None:
        """Write one result."""
        self.put_all((result,))

    def put_all(self, results: Sequence[AnyResult]) -> None:
        """Write several results."""
        self._out.write("".join(map(self._text, results)))
        self._out.flush()

    @abstractmethod
    def _text(self, result: AnyResult) -> str:
        """The text of one result, with its last line end."""


class JsonLinesSink(_TextSink):
    """One JSON object per line and image."""

    def _text(self, result: AnyResult) -> str:
        return msgspec.json.encode(encodable(result)).decode() + "\n"


class JsonSink(Sink):
    """One JSON document with all results, written at the end: a run that is killed writes nothing."""

    def __init__(self, out: TextWriter) -> None:
        self._out = out
        self._results: list[msgspec.Raw] = []

    def put(self, result: AnyResult) -> None:
        """Keep the result until `close`."""
        self._results.append(msgspec.Raw(msgspec.json.encode(encodable(result))))

    def close(self) -> None:
        """Write the document."""
        document = msgspec.json.encode({"schema_version": SCHEMA_VERSION, "results": self._results})
        self._out.write(msgspec.json.format(document, indent=2).decode() + "\n")
        self._out.flush()


class CsvSink(_TextSink):
    """The rows of `result_rows`; floats have as many digits as are needed to read the same value back.

    Args:
        header: whether to write the column names first; False to append to a file.
    """

    def __init__(self, out: TextWriter, *, header: bool = True) -> None:
        super().__init__(out)
        if header:
            out.write(CSV_HEADER)
            out.flush()

    def _text(self, result: AnyResult) -> str:
        return "".join(",".join(map(_csv_cell, row)) + "\n" for row in result_rows(result))


def _csv_cell(value: Cell) -> str:
    """The cell as RFC 4180 defines it.

    Before Python 3.13 `csv.writer` leaves a carriage return unquoted, which breaks readers.
    """
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    if any(character in value for character in ',"\r\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


class TableSink(_TextSink):
    """A block per image: its source, then one line per class.

    Args:
        min_probability: classes below it were removed; shown for an image without classes.
    """

    def __init__(self, out: TextWriter, *, min_probability: float | None = None) -> None:
        super().__init__(out)
        self._min_probability = min_probability

    def _text(self, result: AnyResult) -> str:
        if not isinstance(result, Classification):
            return ""  # failures are reported on stderr
        frame = "" if result.frame is None else f"  frame {result.frame}"
        rows = [f"  {p.probability:7.2%}  {p.class_id:>5}  {printable(p.label)}" for p in result.predictions]
        if not rows:
            limit = "" if self._min_probability is None else f" with a probability of {self._min_probability:g} or more"
            rows = [f"  no class{limit}"]
        head = f"{printable(result.source)}{frame}  ({result.timings_ms.total:.1f} ms)"
        return "\n".join([head, *rows]) + "\n"
