"""Which output, and what to do with a file that is there."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.outputs.done import ExistingResults, read_csv, read_json_lines, read_parquet
from ov_mobilenet.outputs.files import OutputFile, cannot_write
from ov_mobilenet.outputs.parquet import Parquet, schema
from ov_mobilenet.outputs.rows import Key
from ov_mobilenet.outputs.sink import Sink, encodable_source
from ov_mobilenet.outputs.text import Csv, Json, JsonLines, Table, TextOut
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image

Form = Literal["csv", "json", "jsonl", "parquet", "table"]
FORMS: tuple[Form, ...] = get_args(Form)
SUFFIXES: dict[str, Form] = {
    ".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "table",
}  # fmt: skip
RESUMABLE: tuple[Form, ...] = ("jsonl", "csv", "parquet")

T = TypeVar("T", bound="Image | Item")


def form_of(path: Path | None, form: Form | None) -> Form:
    """The format as it was asked for, else by the file's suffix, else a table.

    Raises:
        UsageError: the suffix says nothing, or Parquet shall go to no file.
    """
    if form is None:
        form = "table" if path is None else SUFFIXES.get(path.suffix.lower())
        if form is None:
            raise UsageError(
                "the format is not clear from the name", where=path, expected=" ".join(SUFFIXES),
                fix="Or say it with --format",
            )  # fmt: skip
    if form == "parquet" and (path is None or (path.exists() and not path.is_file())):
        raise UsageError(
            "Parquet is written to a file only", expected="-o FILE.parquet", got="stdout" if path is None else path
        )
    return form


class Destination:
    """An output that can be written, with what is there already; made by `open_destination`.

    Attributes:
        done: how many results the file already has of each (source, frame).
        is_stdout: whether it is no file.
    """

    def __init__(self, path: Path | None, form: Form, done: ExistingResults | None, out: TextOut | None) -> None:
        self.done: Counter[Key] = Counter() if done is None else done.images
        self.is_stdout = path is None
        self._path = path
        self._form = form
        self._kept = done
        self._out = out

    def left(self, inputs: Iterable[T]) -> Iterator[T]:
        """The inputs that have no result yet, in order; none is read for that.

        An input that was given twice is done twice. What a live source gives is always new.
        """
        left = Counter(self.done)
        for number, image in enumerate(inputs):
            item = as_item(image, f"image {number}")
            key = encodable_source(item.source), item.frame
            if item.captured is None and left[key] > 0:
                left[key] -= 1
            else:
                yield image

    def sink(self, *, least: float | None = None) -> Sink:
        """Begin to write: a file that is to be overwritten loses its content here, a torn record is cut off.

        Args:
            least: the probability below which classes are left out, for the table to name.

        Raises:
            OutputError: it cannot be written.
        """
        kept = self._kept
        if self._out is None:
            assert self._path is not None
            return Parquet(self._path, resume=kept is not None)
        if isinstance(self._out, OutputFile):
            self._out.cut(0 if kept is None else kept.size)
        if self._form == "csv":
            return Csv(self._out, header=kept is None or kept.size == 0)
        if self._form == "table":
            return Table(self._out, least=least)
        return (JsonLines if self._form == "jsonl" else Json)(self._out)

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._out, OutputFile):
            self._out.close()


def open_destination(
    path: str | os.PathLike[str] | None,
    *,
    form: Form | None = None,
    resume: bool = False,
    overwrite: bool = False,
    top_k: int = DEFAULT_TOP_K,
) -> Destination:
    """See that results can be written before any work is done for them; nothing that is there is touched yet.

    Args:
        path: the file; None for stdout.
        form: None for what the suffix says, or a table on stdout.
        resume: go on from what the file holds; where there is no file, begin.
        overwrite: begin anew in a file that has content.
        top_k: how many predictions a result has at most, by which a torn CSV is known.

    Raises:
        UsageError: the wishes exclude each other, or the file has content and neither wish was said.
        OutputError: the file cannot be written, or shall be resumed and holds something else.
        MissingDependencyError: Parquet without pyarrow.
    """
    path = None if path is None else Path(path)
    form = form_of(path, form)
    if resume and overwrite:
        raise UsageError("--resume keeps what is there, --overwrite does not", fix="Give one of them")
    if path is None:
        if resume or overwrite:
            raise UsageError(f"{'--resume' if resume else '--overwrite'} needs a file", expected="-o FILE")
        return Destination(None, form, None, _Stdout())
    if resume and form not in RESUMABLE:
        raise UsageError("such a file cannot be resumed", where=path, expected=", ".join(RESUMABLE), got=form)
    try:
        path = path.resolve() if path.is_symlink() else path  # Parquet replaces the file, and must not the link
        has_content = path.is_file() and path.stat().st_size > 0
        if has_content and not (resume or overwrite):
            raise UsageError(
                "this file is there already", where=path,
                fix="--resume adds what it lacks, --overwrite begins anew",
            )  # fmt: skip
        if form == "parquet":
            schema()
            _check_folder(path)
            return Destination(path, form, read_parquet(path) if resume and has_content else None, None)
        done = None
        if resume and has_content:
            done = read_csv(path, top_k) if form == "csv" else read_json_lines(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return Destination(path, form, done, OutputFile(path))


def _check_folder(path: Path) -> None:
    """Parquet makes a new file beside the old one."""
    if not path.parent.is_dir():
        raise OutputError("there is no such folder", where=path.parent, fix="Make it, or choose another with -o")
    probe = path.with_name(path.name + ".partial")
    probe.open("wb").close()
    probe.unlink()


class _Stdout:
    """What `sys.stdout` is at that moment, with the one message where it takes no more."""

    def write(self, text: str, /) -> None:
        try:
            sys.stdout.write(text)
        except OSError as error:
            raise cannot_write("stdout", error) from error

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise cannot_write("stdout", error) from error
