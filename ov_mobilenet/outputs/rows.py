"""A result as rows of a table: what CSV and Parquet hold, the same values as a JSON line.

One row a prediction, best first, with `rank` from 1. A result without predictions has one row without `rank`: a failure
with its `error`, or an image none of whose classes was probable enough. Whatever is not known is empty (null).
"""

from __future__ import annotations

from ov_mobilenet.outputs.sink import encodable
from ov_mobilenet.runtime.results import Failure, Result

COLUMNS = (
    "source", "frame", "time_s", "rank", "class_id", "label", "probability", "error",
    "decode_ms", "geometry_ms", "queue_ms", "inference_ms", "total_ms", "age_ms",
)  # fmt: skip
NO_PREDICTION = (None, None, None, None)
NO_TIMINGS = (None,) * 6

Cell = str | int | float | None
# What tells results apart: the source, and the number of a video's frame.
Key = tuple[str, int | None]


def rows_of(result: Result) -> list[tuple[Cell, ...]]:
    """The rows of one result, a cell for each of `COLUMNS`."""
    result = encodable(result)
    origin: tuple[Cell, ...] = (result.source, result.frame, result.time_s)
    if isinstance(result, Failure):
        return [(*origin, *NO_PREDICTION, result.error, *NO_TIMINGS)]
    t = result.timings_ms
    rest: tuple[Cell, ...] = (None, t.decode, t.geometry, t.queue, t.inference, t.total, result.age_ms)
    rows = [(*origin, rank, p.class_id, p.label, p.probability, *rest) for rank, p in enumerate(result.predictions, 1)]
    return rows or [(*origin, *NO_PREDICTION, *rest)]
