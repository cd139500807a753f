"""Select the output format, and decide what happens to an existing file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.outputs.existing_results import Content, ExistingResults, read_csv, read_json_lines, read_parquet
from ov_mobilenet.outputs.output_files import OutputFile, raise_write_error
from ov_mobilenet.outputs.parquet_sink import ParquetSink, parquet_schema
from ov_mobilenet.outputs.run_settings import RunSettings, check_settings, read_settings_file, write_settings_file
from ov_mobilenet.outputs.sink import ResultKey, Sink, encodable_source
from ov_mobilenet.outputs.text_sinks import CsvSink, JsonLinesSink, JsonSink, TableSink, TextWriter
from ov_mobilenet.outputs.writer_lock import WriterLock
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image

OutputFormat = Literal["csv", "json", "jsonl", "parquet", "table"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
SUFFIXES: dict[str, OutputFormat] = {
    ".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".txt": "table",
}  # fmt: skip
RESUMABLE: tuple[OutputFormat, ...] = ("jsonl", "csv", "parquet")

T = TypeVar("T", bound="Image | Item")


def choose_format(path: Path | None, output_format: OutputFormat | None) -> OutputFormat:
    """Choose the output format: the given one, otherwise by the file's suffix, otherwise a table.

    Raises:
        UsageError: the suffix is unknown, or Parquet without a regular file.
    """
    if output_format is None:
        output_format = "table" if path is None else SUFFIXES.get(path.suffix.lower())
        if output_format is None:
            raise UsageError(
                "the suffix does not determine the format", where=path, expected=" ".join(SUFFIXES),
                got=path.suffix if path is not None and path.suffix else "no suffix",
                fix="Select a format with --format" if path is None or path.suffix.lower() != ".npz"
                else ".npz is for features: add --output-kind features",
            )  # fmt: skip
    if output_format == "parquet" and (path is None or (path.exists() and not path.is_file())):
        raise UsageError(
            "Parquet can only be written to a file", expected="-o FILE.parquet", got="stdout" if path is None else path
        )
    return output_format


class Destination:
    """An output that is ready to be written, with its existing results; create it with `open_destination`.

    Attributes:
        existing: number of results per (source, frame) that the file already has.
        is_stdout: whether results go to stdout.
    """

    def __init__(
        self,
        path: Path | None,
        output_format: OutputFormat,
        existing: ExistingResults | None,
        out: TextWriter | None,
        lock: WriterLock | None = None,
    ) -> None:
        self.existing: Counter[ResultKey] = Counter() if existing is None else existing.images
        self.is_stdout = path is None
        self._path = path
        self._format = output_format
        self._kept = existing
        self._out = out
        self._lock = lock

    def check(self, settings: RunSettings) -> None:
        """Check that the existing results were made with these settings; see `run_settings`. Nothing is changed.

        Raises:
            OutputError: a setting differs.
        """
        if self._kept is not None and self.existing:
            assert self._path is not None
            check_settings(self._path, self._kept.settings, settings)

    def remaining(self, inputs: Iterable[T]) -> Iterator[T]:
        """Yield the inputs that have no result yet, in order; no image is read.

        An input that is given twice needs two results. Frames of live sources are never skipped.
        """
        unmatched = Counter(self.existing)
        for number, image in enumerate(inputs):
            item = as_item(image, f"image {number}")
            key = encodable_source(item.source), item.frame
            if item.captured is None and unmatched[key] > 0:
                unmatched[key] -= 1
            else:
                yield image

    def writer(self) -> TextWriter:
        """The text output, emptied or cut to its valid part, to be written directly; not for Parquet."""
        assert self._out is not None
        if self._lock is not None:
            self._lock.keep_file()
        if isinstance(self._out, OutputFile):
            self._out.truncate(0 if self._kept is None else self._kept.size)
        return self._out

    def sink(self, *, min_probability: float | None = None, settings: RunSettings | None = None) -> Sink:
        """Start to write. A file to overwrite is emptied now; an incomplete last record of a file to resume is removed.

        Args:
            min_probability: see `TableSink`.
            settings: what the results are made with; recorded for `check` in a later run. None records nothing.

        Raises:
            OutputError: the output cannot be written.
        """
        kept = self._kept
        if self._out is None:
            assert self._path is not None
            assert self._lock is not None
            self._lock.keep_file()
            return ParquetSink(self._path, resume=kept is not None, settings=settings, lock=self._lock)
        out = self.writer()
        if isinstance(out, OutputFile) and out.is_regular and self._format in RESUMABLE and not self.existing:
            assert self._path is not None
            write_settings_file(self._path, settings)
        if self._format == "csv":
            return CsvSink(out, header=kept is None or kept.size == 0)
        if self._format == "table":
            return TableSink(out, min_probability=min_probability)
        return (JsonLinesSink if self._format == "jsonl" else JsonSink)(out)

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *_: object) -> None:
        if isinstance(self._out, OutputFile):
            self._out.close()
        if self._lock is not None:
            self._lock.release()


def open_destination(
    path: str | os.PathLike[str] | None,
    *,
    output_format: OutputFormat | None = None,
    resume: bool = False,
    overwrite: bool = False,
    top_k: int = DEFAULT_TOP_K,
    content: Content = "predictions",
) -> Destination:
    """Check that results can be written, before any work is done; an existing file is not changed yet.

    Args:
        path: the file; None for stdout.
        output_format: None to select it by the suffix; a table on stdout.
        resume: keep the results of the file and add the missing ones; a missing file is created.
        overwrite: replace the content of an existing file.
        top_k: maximum number of predictions per result; needed to detect an incomplete image in a CSV.
        content: what a JSON Lines file to resume must hold.

    Raises:
        UsageError: the arguments exclude each other, the file has content and neither `resume` nor `overwrite`
            is set, or the file to resume holds other content.
        OutputError: the file cannot be written, another process is writing to it, or it cannot be resumed because it is
            not an output of this program.
        MissingDependencyError: Parquet without pyarrow.
    """
    path = None if path is None else Path(path)
    output_format = choose_format(path, output_format)
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other", fix="Use one of them")
    if path is None:
        if resume or overwrite:
            raise UsageError(f"{'--resume' if resume else '--overwrite'} needs a file", expected="-o FILE")
        return Destination(None, output_format, None, _Stdout())
    if resume and output_format not in RESUMABLE:
        raise UsageError(
            "a file of this format cannot be resumed", where=path, expected=", ".join(RESUMABLE), got=output_format
        )
    try:
        path = path.resolve() if path.is_symlink() else path  # Parquet replaces the file, and must not replace the link
        if output_format == "parquet":
            parquet_schema()
            check_folder(path)
        lock = WriterLock(path)
    except OSError as error:
        raise_write_error(path, error)
    try:
        return _opened(path, output_format, lock, resume=resume, overwrite=overwrite, top_k=top_k, content=content)
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError):
            raise_write_error(path, error)
        raise


def _opened(
    path: Path,
    output_format: OutputFormat,
    lock: WriterLock,
    *,
    resume: bool,
    overwrite: bool,
    top_k: int,
    content: Content,
) -> Destination:
    has_content = path.is_file() and path.stat().st_size > 0
    if has_content and not (resume or overwrite):
        raise UsageError(
            "the file already exists", where=path,
            fix="Add the missing results with --resume, or replace it with --overwrite",
        )  # fmt: skip
    existing = None
    if output_format == "parquet":
        existing = read_parquet(path) if resume and has_content else None
        return Destination(path, output_format, existing, None, lock)
    if resume and has_content:
        existing = read_csv(path, top_k) if output_format == "csv" else read_json_lines(path, content)
        existing = replace(existing, settings=read_settings_file(path))
    return Destination(path, output_format, existing, OutputFile(path), lock)


def check_folder(path: Path) -> None:
    """Check that a new file can be created beside `path`, which formats that are replaced as a whole need."""
    if not path.parent.is_dir():
        raise OutputError("the folder does not exist", where=path.parent, fix="Create it, or select another with -o")
    with tempfile.TemporaryFile(dir=os.fspath(path.parent)):
        pass


class _Stdout:
    """The current `sys.stdout`; write errors are `OutputError`s."""

    def write(self, text: str, /) -> None:
        try:
            sys.stdout.write(text)
        except OSError as error:
            raise_write_error("stdout", error)

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise_write_error("stdout", error)
