"""Where classifications go: a table for people, JSON, JSON lines or CSV for machines."""

from __future__ import annotations

import csv
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec

from ov_mobilenet.errors import printable
from ov_mobilenet.runtime.results import Classification, Failure, Result

SCHEMA_VERSION = 1


def encodable(result: Result) -> Result:
    """The result with a source that UTF-8 can hold: bytes of a file name that are none appear as `\\xff`."""
    source = os.fsencode(result.source).decode("utf-8", "backslashreplace")
    return result if source == result.source else msgspec.structs.replace(result, source=source)


class Sink(ABC):
    """Takes results one by one; `close` ends the document."""

    @abstractmethod
    def put(self, result: Result) -> None:
        """Write one result, or keep it for `close`."""

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """End the output."""


class JsonLines(Sink):
    """One line a picture, as soon as it is known."""

    def put(self, result: Result) -> None:
        """Write the line."""
        sys.stdout.write(msgspec.json.encode(encodable(result)).decode() + "\n")
        sys.stdout.flush()


class Json(Sink):
    """One document of all results."""

    def __init__(self) -> None:
        self._lines: list[msgspec.Raw] = []

    def put(self, result: Result) -> None:
        """Keep the result."""
        self._lines.append(msgspec.Raw(msgspec.json.encode(encodable(result))))

    def close(self) -> None:
        """Write the document."""
        document = msgspec.json.encode({"schema_version": SCHEMA_VERSION, "results": self._lines})
        sys.stdout.write(msgspec.json.format(document, indent=2).decode() + "\n")


class Csv(Sink):
    """One row a prediction: source, rank (from 1), class_id, label, probability, error."""

    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(("source", "rank", "class_id", "label", "probability", "error"))

    def put(self, result: Result) -> None:
        """Write the rows."""
        result = encodable(result)
        if isinstance(result, Failure):
            self._writer.writerow((result.source, "", "", "", "", result.error))
        else:
            for rank, p in enumerate(result.predictions, 1):
                self._writer.writerow((result.source, rank, p.class_id, p.label, repr(p.probability), ""))
        sys.stdout.flush()


class Table(Sink):
    """A block a picture: its name, then a line a class."""

    def put(self, result: Result) -> None:
        """Write the block. Failures are told on stderr."""
        if isinstance(result, Classification):
            rows = (f"  {p.probability:7.2%}  {p.class_id:>5}  {printable(p.label)}" for p in result.predictions)
            sys.stdout.write(
                f"{printable(result.source)}  ({result.timings_ms.total:.1f} ms)\n" + "\n".join(rows) + "\n"
            )


SINKS: dict[str, Callable[[], Sink]] = {"table": Table, "json": Json, "jsonl": JsonLines, "csv": Csv}
