"""Annotation files: which image belongs to which class.

- ImageNet's `val.txt`: one image and its class per line, separated by blanks; the last word is the class.
- CSV (`.csv`): a header with an image column (`path`, `filename` or `image`) and a class column (`class_id`, `class` or
  `label`), or two columns without a header.
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
    """One annotated image.

    Attributes:
        line: line number in the file, from 1.
        image: the image path as written in the file.
        label: the class as written in the file.
    """

    line: int
    image: str
    label: str


def read_annotations(path: Path) -> list[Annotation]:
    """Read an annotation file; empty lines are skipped.

    Returns:
        The annotations, in the order of the file.

    Raises:
        DatasetError: the file is missing or not UTF-8 text, or a line does not hold an image and a class; the message
            names the line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetError("cannot read the annotations", where=path, got=error.strerror or error) from error
    except UnicodeDecodeError as error:
        raise DatasetError("the annotations are not UTF-8 text", where=path, got=f"byte {error.start}") from error
    found = list(_parse_csv(text, path) if path.suffix.lower() == ".csv" else _parse_lines(text, path))
    if not found:
        raise DatasetError(
            "the annotation file lists no images", where=path, expected="one image and its class per line"
        )
    return found


def _parse_lines(text: str, path: Path) -> Iterator[Annotation]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.strip().rsplit(maxsplit=1)
        if len(words) == 1:
            raise _incomplete(f"{path}:{number}", words[0][:80])
        if words:
            yield Annotation(number, words[0], words[1])


def _parse_csv(text: str, path: Path) -> Iterator[Annotation]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[int, int] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{path}:{reader.line_num}"
            if columns is None:
                columns, is_header = _find_columns(row, where)
                if is_header:
                    continue
            if len(row) <= max(columns) or not (row[columns[0]].strip() and row[columns[1]].strip()):
                raise _incomplete(where, ",".join(row))
            yield Annotation(reader.line_num, row[columns[0]].strip(), row[columns[1]].strip())
    except csv.Error as error:
        raise DatasetError(f"not a CSV file ({error})", where=f"{path}:{reader.line_num}") from error


def _incomplete(where: str, line: str) -> DatasetError:
    return DatasetError("incomplete annotation", where=where, expected="an image and a class", got=repr(line))


def _find_columns(row: list[str], where: str) -> tuple[tuple[int, int], bool]:
    """Return the indices of the image and class columns, and whether `row` is a header."""
    names = [cell.strip().lower() for cell in row]
    images = [names.index(name) for name in IMAGE_COLUMNS if name in names]
    labels = [names.index(name) for name in CLASS_COLUMNS if name in names]
    if images and labels:
        return (images[0], labels[0]), True
    if len(row) == 2 and not images and not labels:
        return (0, 1), False
    raise DatasetError(
        "cannot tell which columns hold the image and the class", where=where,
        expected=f"a header with one of {', '.join(IMAGE_COLUMNS)} and one of {', '.join(CLASS_COLUMNS)}, or exactly "
        "two columns",
        got=repr(",".join(row)),
    )  # fmt: skip
