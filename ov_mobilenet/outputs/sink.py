"""The interface `Sink` of all outputs, and the conversion of a result to rows of a table.

CSV and Parquet have one row per prediction, best first, with `rank` from 1. A result without predictions has one row
without `rank`: a failure with its `error`, or an image with no class above the minimum probability. Values that are
not known are empty (null). The values are those of the JSON form, see `runtime/results.py`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ov_mobilenet.runtime.results import AnyResult, Classification, Features

COLUMNS = (
    "source", "frame", "time_s", "rank", "class_id", "label", "probability", "error",
    "decode_ms", "geometry_ms", "queue_ms", "inference_ms", "total_ms", "age_ms",
)  # fmt: skip
NO_PREDICTION = (None, None, None, None)
NO_TIMINGS = (None,) * 6

Cell = str | int | float | None
# Identifies a result: the source, and the frame number for a video.
ResultKey = tuple[str, int | None]


R = TypeVar("R", bound=AnyResult)


class Sink(ABC):
    """Takes results; `close` completes the output."""

    @abstractmethod
    def put(self, result: AnyResult) -> None:
        """Write one result, or keep it until `close`.

        Raises:
            OutputError: it cannot be written; results written before are kept.
        """

    def put_all(self, results: Sequence[AnyResult]) -> None:
        """Write several results, which text outputs do in one go. Raises: OutputError, as `put`."""
        for result in results:
            self.put(result)

    def close(self) -> None:  # noqa: B027 (most outputs are complete after each result)
        """Complete the output. Raises: OutputError."""

    def abandon(self) -> None:
        """End after an error: an output that holds the results so far keeps them. Raises: OutputError."""
        self.close()


def result_rows(result: AnyResult) -> list[tuple[Cell, ...]]:
    """The rows of one result, with a cell for each of `COLUMNS`."""
    result = encodable(result)
    origin: tuple[Cell, ...] = (result.source, result.frame, result.time_s)
    if not isinstance(result, Classification):
        error = None if isinstance(result, Features) else result.error
        return [(*origin, *NO_PREDICTION, error, *NO_TIMINGS)]
    t = result.timings_ms
    rest: tuple[Cell, ...] = (None, t.decode, t.geometry, t.queue, t.inference, t.total, result.age_ms)
    rows = [(*origin, rank, p.class_id, p.label, p.probability, *rest) for rank, p in enumerate(result.predictions, 1)]
    return rows or [(*origin, *NO_PREDICTION, *rest)]


def encodable_source(source: str) -> str:
    """The source as valid UTF-8; bytes of a file name that are not UTF-8 become `\\xff`."""
    if source.isascii():
        return source
    return os.fsencode(source).decode("utf-8", "backslashreplace")


def encodable(result: R) -> R:
    """The result with a source that is valid UTF-8."""
    source = encodable_source(result.source)
    return result if source == result.source else msgspec.structs.replace(result, source=source)
