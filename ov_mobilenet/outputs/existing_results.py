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


class _ResultOrigin(msgspec.Struct):
    source: str
    frame: int | None = None
    predictions: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    features: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read_json_lines(path: Path, content: Content = "predictions") -> ExistingResults:
    """The complete lines.

    Raises:
        OutputError: a line is not a result.
        UsageError: the file holds the other kind of content.
    """
    other: Content = "features" if content == "predictions" else "predictions"
    decoder = msgspec.json.Decoder(_ResultOrigin)
    images: Counter[ResultKey] = Counter()
    size = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                if not JSON_LINE_START.startswith(line[: len(JSON_LINE_START)]):
                    raise _not_a_result(path, f"line {number}")
                break
            try:
                origin = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _not_a_result(path, f"line {number}") from error
            if getattr(origin, other) is not msgspec.UNSET:
                raise UsageError(
                    f"the file holds {other}, not {content}", where=path,
                    fix="Select another file, or use --overwrite",
                )  # fmt: skip
            images[origin.source, origin.frame] += 1
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
        rank = ""
        for text in _csv_records(file):
            try:
                source, frame, _, rank, *_ = next(csv.reader([text.decode()]))
                if rank in ("", "1"):
                    begin, key = end, (source, int(frame) if frame else None)
                    images[key] += 1
            except (ValueError, csv.Error) as error:
                raise _not_a_result(path, f"the row at byte {end}") from error
            end += len(text)
    if key is not None and rank not in ("", str(top_k)):
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


def read_parquet(path: Path) -> ExistingResults:
    """The images of a Parquet file. Raises: OutputError, if it is not Parquet or has different columns."""
    from ov_mobilenet.outputs.parquet_sink import open_parquet, read_keys

    with open_parquet(path) as file:
        settings = decode_settings((file.schema_arrow.metadata or {}).get(METADATA_KEY))
        return ExistingResults(Counter(read_keys(file)), path.stat().st_size, settings)


def _not_a_result(path: Path, what: str) -> OutputError:
    return OutputError(
        f"{what} is not a result of this program", where=path,
        fix="Select another file, or replace this one with --overwrite",
    )  # fmt: skip
