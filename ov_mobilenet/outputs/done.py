"""What an earlier run has written: which images, and up to where the file can be trusted.

A killed run may have left the last record torn. A JSON line is whole when its end of line is there. The rows of one
image in a CSV are several, and a kill can cut between them at an end of line: so the last image is taken as whole
only where it has as many rows as are asked for, and is done again otherwise. Parquet is never torn, see `parquet.py`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from ov_mobilenet.errors import OutputError
from ov_mobilenet.outputs.rows import Key
from ov_mobilenet.outputs.text import CSV_HEADER

JSON_BEGINNING = b'{"source":"'


@dataclass(frozen=True)
class ExistingResults:
    """What is there.

    Attributes:
        images: how many results each (source, frame) has; failures are results too.
        size: bytes of the file that hold them; what follows is to be cut off.
    """

    images: Counter[Key]
    size: int


class _Origin(msgspec.Struct):
    source: str
    frame: int | None = None


def read_json_lines(path: Path) -> ExistingResults:
    """The lines that are whole. Raises: OutputError, if one is no result."""
    decoder = msgspec.json.Decoder(_Origin)
    images: Counter[Key] = Counter()
    size = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                if not JSON_BEGINNING.startswith(line[: len(JSON_BEGINNING)]):
                    raise _foreign(path, f"line {number}")
                break
            try:
                origin = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _foreign(path, f"line {number}") from error
            images[origin.source, origin.frame] += 1
            size += len(line)
    return ExistingResults(images, size)


def read_csv(path: Path, top_k: int) -> ExistingResults:
    """The images whose rows are all there.

    Args:
        top_k: how many rows an image has that lacks none.

    Raises:
        OutputError: the columns are others, or a row is none of ours.
    """
    header = CSV_HEADER.encode()
    images: Counter[Key] = Counter()
    with path.open("rb") as file:
        first = file.readline()
        if first != header:
            if header.startswith(first):  # killed while writing it
                return ExistingResults(images, 0)
            raise OutputError(
                "not a CSV of this program's columns", where=path, expected=CSV_HEADER.strip(),
                got=first[:200].decode("utf-8", "replace").strip(), fix="Choose another file, or --overwrite this one",
            )  # fmt: skip
        begin = end = len(header)
        key: Key | None = None
        rank = ""
        for text in _csv_records(file):
            try:
                source, frame, _, rank, *_ = next(csv.reader([text.decode()]))
                if rank in ("", "1"):
                    begin, key = end, (source, int(frame) if frame else None)
                    images[key] += 1
            except (ValueError, csv.Error) as error:
                raise _foreign(path, f"the row at byte {end}") from error
            end += len(text)
    if key is not None and rank not in ("", str(top_k)):
        images[key] -= 1
        end = begin
    return ExistingResults(+images, end)


def _csv_records(file: BinaryIO) -> Iterator[bytes]:
    """Whole records; a quoted name may hold line ends, and has an even number of quotes once it is whole."""
    record = b""
    for line in file:
        record += line
        if record.endswith(b"\n") and record.count(b'"') % 2 == 0:
            yield record
            record = b""


def read_parquet(path: Path) -> ExistingResults:
    """The images of a Parquet file. Raises: OutputError, if it is none or has other columns."""
    from ov_mobilenet.outputs.parquet import opened, read_origins

    with opened(path) as file:
        return ExistingResults(Counter(read_origins(file)), path.stat().st_size)


def _foreign(path: Path, what: str) -> OutputError:
    return OutputError(
        f"{what} is no result of this program", where=path, fix="Choose another file, or --overwrite this one"
    )
