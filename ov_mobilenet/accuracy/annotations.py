"""Files that name images and their classes.

- ImageNet's `val.txt`: an image and a class a line, separated by blanks; the last word is the class.
- CSV (`.csv`): a first line that names columns (`path`, `filename` or `image`; `class_id`, `class` or `label`), or two
  columns and no such line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ov_mobilenet.errors import DatasetError

IMAGE_COLUMNS = ("path", "filename", "image")
CLASS_COLUMNS = ("class_id", "class", "label")


class Annotation(NamedTuple):
    """A line: its number from 1, the image and the class as they stand there."""

    line: int
    image: str
    label: str


def read_annotations(path: Path) -> list[Annotation]:
    """The annotations of a file, in its order; empty lines are left out.

    Raises:
        DatasetError: the file is missing, is no UTF-8 text, or a line does not hold an image and a class; names it.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError("annotations cannot be read", where=path, got=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise DatasetError("annotations are not UTF-8 text", where=path, got=f"byte {error.start}") from error
    found = list(_of_csv(text, path) if path.suffix.lower() == ".csv" else _of_lines(text, path))
    if not found:
        raise DatasetError("annotations name no image", where=path, expected="an image and a class a line")
    return found


def _of_lines(text: str, path: Path) -> Iterator[Annotation]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip().rsplit(maxsplit=1)
        if len(words) == 1:
            raise DatasetError("no image and class", where=f"{path}:{number}", got=repr(words[0][:80]))
        if words:
            yield Annotation(number, words[0], words[1])


def _of_csv(text: str, path: Path) -> Iterator[Annotation]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns, is_head = _columns(row, f"{path}:{reader.line_num}")
                if is_head:
                    continue
            if len(row) <= max(columns) or not (row[columns[0]].strip() and row[columns[1]].strip()):
                raise DatasetError("no image and class", where=f"{path}:{reader.line_num}", got=repr(",".join(row)))
            yield Annotation(reader.line_num, row[columns[0]].strip(), row[columns[1]].strip())
    except csv.Error as error:
        raise DatasetError(f"not CSV ({error})", where=f"{path}:{reader.line_num}") from error


def _columns(row: list[str], where: str) -> tuple[tuple[int, int], bool]:
    """Where image and class stand, and whether this line says so."""
    names = [cell.strip().lower() for cell in row]
    images = [names.index(name) for name in IMAGE_COLUMNS if name in names]
    labels = [names.index(name) for name in CLASS_COLUMNS if name in names]
    if images and labels:
        return (images[0], labels[0]), True
    if len(row) == 2 and not images and not labels:
        return (0, 1), False
    raise DatasetError(
        "which columns hold image and class is not clear", where=where,
        expected=f"a first line with one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join(CLASS_COLUMNS)}, or two "
        "columns",
        got=repr(",".join(row)),
    )  # fmt: skip
