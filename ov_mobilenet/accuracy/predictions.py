"""The predictions file: one line per image, written as soon as it is known, so that a run can be resumed.

JSON lines (`.jsonl`):

    {"image": str, "class_id": int, "run": str, "predictions": [{"class_id": int, "label": str, "probability": float}]}

CSV (`.csv`): `image`, `class_id`, `run`, then `predicted_1`, `probability_1` to `predicted_5`, `probability_5`.

`class_id` is the true class, as the network numbers it. `run` identifies model, geometry, device and precision, so that
predictions of different runs are never mixed. Images that failed have no line and are tried again.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec
from msgspec import Struct

from ov_mobilenet.accuracy.classes import ClassMapping
from ov_mobilenet.accuracy.metrics import TOP_K
from ov_mobilenet.errors import DatasetError, UsageError
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.writer_lock import WriterLock
from ov_mobilenet.runtime.results import Prediction

CSV_COLUMNS = (
    "image",
    "class_id",
    "run",
    *(f"{name}_{k}" for k in range(1, TOP_K + 1) for name in ("predicted", "probability")),
)

JSON_LINE_START = b'{"image":"'


class _PredictionLine(Struct, frozen=True):
    image: str
    class_id: int
    run: str
    predictions: tuple[Prediction, ...]


class PredictionsFile:
    """Writes predictions one by one; a context manager. Only one process at a time writes to a file.

    Args:
        run: identifies the run, see the module.
        resume: keep the predictions of an existing file, as `known`. An incomplete last line is removed.
        overwrite: replace the content of an existing file.

    Attributes:
        known: the predictions of the existing file, by image name.

    Raises:
        UsageError: the suffix is neither `.jsonl` nor `.csv`, or the file has content and neither `resume` nor
            `overwrite` is set.
        DatasetError: a line is invalid, or belongs to another run; the message names it.
        OutputError: the file cannot be written, or another process is writing to it.
    """

    def __init__(self, path: Path, run: str, classes: ClassMapping, *, resume: bool, overwrite: bool = False) -> None:
        self._run = run
        self._csv = check_format(path) == ".csv"
        self.known: dict[str, tuple[Prediction, ...]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(path)
        except OSError as error:
            raise_write_error(path, error)
        try:
            check_existing(path, resume=resume, overwrite=overwrite)
            self._file = self._open(path, classes, resume=resume)
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise_write_error(path, error)
            raise

    def _open(self, path: Path, classes: ClassMapping, *, resume: bool) -> IO[bytes]:
        complete = self._complete_bytes(path) if resume else b""
        for number, line in self._read_lines(complete, path, classes):
            if line.run != self._run:
                raise DatasetError(
                    "the predictions belong to another run", where=f"{path}:{number}",
                    expected=f"run {self._run} (this model, geometry, device and precision)", got=line.run,
                    fix="Give another file, or replace this one with --overwrite",
                )  # fmt: skip
            self.known[line.image] = line.predictions
        file: IO[bytes] = path.open("r+b" if complete else "wb")
        file.truncate(len(complete))
        file.seek(0, os.SEEK_END)
        if self._csv and not complete:
            file.write(_csv_row(CSV_COLUMNS))
        return file

    def write(self, image: str, class_id: int, predictions: Sequence[Prediction]) -> None:
        """Write the predictions of one image."""
        if self._csv:
            pairs = (value for p in predictions for value in (p.class_id, repr(p.probability)))
            self._file.write(_csv_row((image, class_id, self._run, *pairs)))
        else:
            self._file.write(
                msgspec.json.encode(_PredictionLine(image, class_id, self._run, tuple(predictions))) + b"\n"
            )
        self._file.flush()

    def __enter__(self) -> PredictionsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()

    def _complete_bytes(self, path: Path) -> bytes:
        """Return the file's content up to its last line feed; nothing if the file does not exist.

        Raises:
            DatasetError: the rest cannot be the beginning of a line of this program.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return b""
        end = data.rfind(b"\n") + 1
        begin = JSON_LINE_START if not self._csv else b"" if end else _csv_row(CSV_COLUMNS)
        rest = data[end : end + len(begin)]
        if not begin.startswith(rest):
            raise DatasetError(
                "not a predictions file", where=path,
                fix="Give another file, or replace this one with --overwrite",
            )  # fmt: skip
        return data[:end]

    def _read_lines(self, data: bytes, path: Path, classes: ClassMapping) -> Iterator[tuple[int, _PredictionLine]]:
        # Image names contain no line breaks (see dataset._one_line_name), so each line is one record.
        for number, raw in enumerate(data.split(b"\n")[:-1], 1):
            if self._csv and number == 1:
                if raw.decode("utf-8", "replace") != ",".join(CSV_COLUMNS):
                    raise DatasetError(
                        "not a predictions file", where=path, expected=f"columns {','.join(CSV_COLUMNS[:4])},…"
                    )
                continue
            try:
                line = _parse_row(raw, classes) if self._csv else msgspec.json.decode(raw, type=_PredictionLine)
            # The errors of msgspec 0.19 are no ValueErrors.
            except (ValueError, msgspec.MsgspecError, csv.Error, StopIteration) as error:
                raise DatasetError(f"invalid prediction ({error})", where=f"{path}:{number}") from error
            if not line.predictions or not all(0 <= p.class_id < classes.count for p in line.predictions):
                raise DatasetError("invalid prediction (no such class)", where=f"{path}:{number}")
            yield number, line


def check_format(path: Path) -> str:
    """Return the suffix of a predictions file. Raises: UsageError, if it is neither `.jsonl` nor `.csv`."""
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".csv"):
        raise UsageError("unknown format of a predictions file", expected="a .jsonl or .csv file", got=path)
    return suffix


def check_existing(path: Path, *, resume: bool, overwrite: bool) -> None:
    """Check that an existing file is to be resumed or replaced. Raises: UsageError."""
    if not (resume or overwrite) and path.is_file() and path.stat().st_size > 0:
        raise UsageError(
            "the file already exists", where=path,
            fix="Add the missing predictions with --resume, or replace it with --overwrite",
        )  # fmt: skip


def _csv_row(row: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _parse_row(raw: bytes, classes: ClassMapping) -> _PredictionLine:
    row = next(csv.reader([raw.decode()], strict=True))
    image, class_id, run, *pairs = row
    if len(pairs) % 2 or not pairs:
        raise ValueError("a probability is missing")
    ids = [int(text) for text in pairs[::2]]
    found = (
        Prediction(i, classes.label(i) if 0 <= i < classes.count else "", float(text))
        for i, text in zip(ids, pairs[1::2], strict=True)
    )
    return _PredictionLine(image, int(class_id), run, tuple(found))
