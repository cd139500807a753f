"""The predictions file: a line an image, written as soon as it is known, so that a run can be gone on with.

JSON lines (`.jsonl`):

    {"image": str, "class_id": int, "run": str, "predictions": [{"class_id": int, "label": str, "probability": float}]}

CSV (`.csv`): `image`, `class_id`, `run`, then `predicted_1`, `probability_1` to `predicted_5`, `probability_5`.

`class_id` is the true class, as the network counts. `run` stands for model, geometry, device and precision: answers of
another run are never mixed in. Images that failed have no line, and are tried again.
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

from ov_mobilenet.accuracy.classes import Classes
from ov_mobilenet.accuracy.figures import TOP
from ov_mobilenet.errors import DatasetError, UsageError
from ov_mobilenet.runtime.results import Prediction

HEAD = (
    "image",
    "class_id",
    "run",
    *(f"{name}_{k}" for k in range(1, TOP + 1) for name in ("predicted", "probability")),
)


class _Line(Struct, frozen=True):
    image: str
    class_id: int
    run: str
    predictions: tuple[Prediction, ...]


class PredictionsFile:
    """Takes predictions one by one; a context manager.

    Args:
        resume: keep what stands there already, in `taken`; otherwise it is written anew.

    Attributes:
        taken: predictions that were there, by image.

    Raises:
        UsageError: the name does not say which format.
        DatasetError: a line is broken, or of another run; names it. A last line that broke off is cut.
    """

    def __init__(self, path: Path, run: str, classes: Classes, *, resume: bool) -> None:
        self._run = run
        self._csv = check_format(path) == ".csv"
        self.taken: dict[str, tuple[Prediction, ...]] = {}
        complete = _complete_bytes(path) if resume else b""
        for number, line in self._parsed(complete, path, classes):
            if line.run != run:
                raise DatasetError(
                    "predictions of another run", where=f"{path}:{number}",
                    expected=f"run {run} (this model, geometry, device and precision)", got=line.run,
                    fix="Name another file, or leave --resume out to write it anew",
                )  # fmt: skip
            self.taken[line.image] = line.predictions
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("r+b" if complete else "wb")
        self._file.truncate(len(complete))
        self._file.seek(0, os.SEEK_END)
        if self._csv and not complete:
            self._write_row(HEAD)

    def put(self, image: str, class_id: int, predictions: Sequence[Prediction]) -> None:
        """Write one line."""
        if self._csv:
            pairs = (value for p in predictions for value in (p.class_id, repr(p.probability)))
            self._write_row((image, class_id, self._run, *pairs))
        else:
            self._file.write(msgspec.json.encode(_Line(image, class_id, self._run, tuple(predictions))) + b"\n")
        self._file.flush()

    def __enter__(self) -> PredictionsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write_row(self, row: Sequence[object]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self._file.write(text.getvalue().encode())

    def _parsed(self, data: bytes, path: Path, classes: Classes) -> Iterator[tuple[int, _Line]]:
        # Names have no line feed in them, so a line is a line; see dataset._name.
        for number, raw in enumerate(data.split(b"\n")[:-1], 1):
            if self._csv and number == 1:
                if raw.decode("utf-8", "replace") != ",".join(HEAD):
                    raise DatasetError("no predictions file", where=path, expected=f"columns {','.join(HEAD[:4])},…")
                continue
            try:
                line = _of_row(raw, classes) if self._csv else msgspec.json.decode(raw, type=_Line)
            except (ValueError, csv.Error, StopIteration) as error:  # msgspec's errors are ValueErrors
                raise DatasetError(f"broken line of predictions ({error})", where=f"{path}:{number}") from error
            if not line.predictions or not all(0 <= p.class_id < classes.count for p in line.predictions):
                raise DatasetError("broken line of predictions (no such class)", where=f"{path}:{number}")
            yield number, line


def check_format(path: Path) -> str:
    """The suffix of a predictions file. Raises: UsageError, if it is neither `.jsonl` nor `.csv`."""
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".csv"):
        raise UsageError("which format is not clear", where=path, expected="a file .jsonl or .csv", got=path.name)
    return suffix


def _complete_bytes(path: Path) -> bytes:
    """What stands in the file up to its last line feed; nothing if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _of_row(raw: bytes, classes: Classes) -> _Line:
    row = next(csv.reader([raw.decode()], strict=True))
    image, class_id, run, *pairs = row
    if len(pairs) % 2 or not pairs:
        raise ValueError("a probability is missing")
    ids = [int(text) for text in pairs[::2]]
    found = (
        Prediction(i, classes.label(i) if 0 <= i < classes.count else "", float(text))
        for i, text in zip(ids, pairs[1::2], strict=True)
    )
    return _Line(image, int(class_id), run, tuple(found))
