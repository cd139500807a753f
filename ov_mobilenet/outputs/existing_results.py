"""Read the results of an earlier run: their images, and the number of bytes up to which the file is valid.

A run that was killed may have left an incomplete record at the end. A JSON line is complete if it ends with a line
break. An image has several rows in a CSV, and a kill can cut between them: the last image counts as complete only if it
has as many rows as classes are requested, and is otherwise classified again. A Parquet file is always valid, see
`parquet_sink.py`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.outputs.run_settings import METADATA_KEY, RunSettings, decode_settings
from ov_mobilenet.outputs.sink import ResultKey
from ov_mobilenet.outputs.text_sinks import CSV_HEADER

Content = Literal["predictions", "features"]

MAX_RECORD_BYTES = 1 << 16  # of a row; one of this program has the length of a path and of a label
JSON_LINE_START = b'{"source":"'


@dataclass(frozen=True)
class ExistingResults:
    """The valid part of an output file.

    Attributes:
        images: number of results per (source, frame); failures are results too.
        size: bytes of the valid part; the rest must be removed.
        settings: what the results were made with; None if that is not recorded.
    """

    images: Counter[ResultKey]
    size: int
    settings: RunSettings | None = None


class _ResultLine(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of a result; one of the first three is there. A damaged key is an unknown one."""

    source: str
    predictions: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    frame: int | None = None
    time_s: float | None = None
    timings_ms: msgspec.Raw = msgspec.Raw()
    age_ms: float | None = None


def read_json_lines(path: Path, content: Content = "predictions") -> ExistingResults:
    """The complete lines.

    Raises:
        OutputError: a line is not a result.
        UsageError: the file holds the other kind of content.
    """
    other: Content = "features" if content == "predictions" else "predictions"
    decoder = msgspec.json.Decoder(_ResultLine)
    images: Counter[ResultKey] = Counter()
    size = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                if not JSON_LINE_START.startswith(line[: len(JSON_LINE_START)]):
                    raise _not_a_result(path, f"line {number}")
                break
            try:
                result = decoder.decode(line.decode())  # as text: `Raw` does not check that it is UTF-8
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _not_a_result(path, f"line {number}") from error
            if result.predictions is result.features is result.error is msgspec.UNSET:
                raise _not_a_result(path, f"line {number}")
            if getattr(result, other) is not msgspec.UNSET:
                raise UsageError(
                    f"the file holds {other}, not {content}", where=path,
                    fix="Select another file, or use --overwrite",
                )  # fmt: skip
            images[result.source, result.frame] += 1
            size += len(line)
    return ExistingResults(images, size)


def read_csv(path: Path, top_k: int) -> ExistingResults:
    """The images with all their rows.

    Args:
        top_k: number of rows of a complete image.

    Raises:
        OutputError: the columns are different, or a row is not a result.
    """
    header = CSV_HEADER.encode()
    images: Counter[ResultKey] = Counter()
    with path.open("rb") as file:
        first = file.readline()
        if first != header:
            if header.startswith(first):  # killed while writing the header
                return ExistingResults(images, 0)
            raise OutputError(
                "not a CSV file with the columns of this program", where=path, expected=CSV_HEADER.strip(),
                got=first[:200].decode("utf-8", "replace").strip(),
                fix="Select another file, or replace this one with --overwrite",
            )  # fmt: skip
        begin = end = len(header)  # of the last image
        key: ResultKey | None = None
        rank = 0
        for text in _csv_records(file):
            try:
                row_key, row_rank = _csv_row(text)
                if row_rank in (0, 1):
                    begin, key = end, row_key
                    images[key] += 1
                elif (row_key, row_rank) != (key, rank + 1) or rank == 0:
                    raise ValueError("a row of an image is missing")
            except (ValueError, csv.Error) as error:
                raise _not_a_result(path, f"the row at byte {end}") from error
            rank = row_rank
            end += len(text)
        if path.stat().st_size - end > MAX_RECORD_BYTES:
            raise _not_a_result(path, f"the row at byte {end}")
    if key is not None and rank not in (0, top_k):
        images[key] -= 1
        end = begin
    return ExistingResults(+images, end)


def _csv_records(file: BinaryIO) -> Iterator[bytes]:
    """Complete records. A quoted name may contain line breaks; a complete record has an even number of quotes."""
    record = b""
    for line in file:
        record += line
        if record.endswith(b"\n") and record.count(b'"') % 2 == 0:
            yield record
            record = b""
        elif len(record) > MAX_RECORD_BYTES:
            return


def _csv_row(text: bytes) -> tuple[ResultKey, int]:
    """The image of a row, and its rank; 0 for an image without predictions. Raises: ValueError, csv.Error."""
    source, frame, time, rank, class_id, _, probability, error, *timings = next(
        csv.reader([text.decode()], strict=True)
    )
    if len(timings) != 6 or not source:
        raise ValueError("another number of columns")
    has_prediction = bool(rank)
    if has_prediction != bool(class_id) or has_prediction != bool(probability) or (has_prediction and error):
        raise ValueError("not a row of a result")
    for number in (time, probability, *timings):
        float(number or 0)
    return (source, int(frame) if frame else None), int(rank) if int(class_id or 0) >= 0 and rank else 0


def read_parquet(path: Path) -> ExistingResults:
    """The images of a Parquet file. Raises: OutputError, if it is not Parquet, damaged, or has different columns."""
    from ov_mobilenet.outputs.parquet_sink import open_parquet, read_keys

    with open_parquet(path) as file:
        settings = decode_settings((file.schema_arrow.metadata or {}).get(METADATA_KEY))
        return ExistingResults(Counter(read_keys(file, path)), path.stat().st_size, settings)


def _not_a_result(path: Path, what: str) -> OutputError:
    return OutputError(
        f"{what} is not a result of this program", where=path,
        fix="Select another file, or replace this one with --overwrite",
    )  # fmt: skip
