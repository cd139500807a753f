"""Where feature vectors are written: JSON Lines, JSON, a table, Parquet, or NumPy's `.npz`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from ov_mobilenet.errors import UsageError
from ov_mobilenet.outputs.destination import (
    Destination,
    OutputFormat,
    check_folder,
    choose_format,
    open_destination,
)
from ov_mobilenet.outputs.feature_files import FeatureParquetSink, FeatureTableSink, NpzSink
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.parquet_sink import parquet_schema
from ov_mobilenet.outputs.run_settings import RunSettings
from ov_mobilenet.outputs.sink import ResultKey, Sink
from ov_mobilenet.outputs.writer_lock import WriterLock
from ov_mobilenet.runtime.items import Item

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image

NPZ = ".npz"

T = TypeVar("T", bound="Image | Item")


class FeatureDestination:
    """An output for feature vectors that is ready to be written; create it with `open_feature_destination`.

    Attributes:
        existing, is_stdout: as in `Destination`.
    """

    def __init__(
        self,
        path: Path | None,
        output_format: OutputFormat | Literal["npz"],
        text: Destination | None,
        lock: WriterLock | None = None,
    ) -> None:
        self.existing: Counter[ResultKey] = Counter() if text is None else text.existing
        self.is_stdout = path is None
        self._format = output_format
        self._text = text
        self._lock = lock

    def remaining(self, inputs: Iterable[T]) -> Iterator[T]:
        """Yield the inputs that have no result yet, see `Destination.remaining`."""
        return iter(inputs) if self._text is None else self._text.remaining(inputs)

    def check(self, settings: RunSettings) -> None:
        """Check that existing vectors were made with these settings, see `Destination.check`. Raises: OutputError."""
        if self._text is not None:
            self._text.check(settings)

    def sink(self, settings: RunSettings | None = None) -> Sink:
        """Start to write; for `settings` see `Destination.sink`. Raises: OutputError."""
        if self._text is None:
            assert self._lock is not None
            return NpzSink(self._lock) if self._format == "npz" else FeatureParquetSink(self._lock)
        return FeatureTableSink(self._text.writer()) if self._format == "table" else self._text.sink(settings=settings)

    def __enter__(self) -> FeatureDestination:
        return self

    def __exit__(self, *_: object) -> None:
        if self._text is not None:
            self._text.__exit__()
        if self._lock is not None:
            self._lock.release()


def open_feature_destination(
    path: str | os.PathLike[str] | None,
    *,
    output_format: OutputFormat | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> FeatureDestination:
    """Check that feature vectors can be written, before any work is done; an existing file is not changed yet.

    Args:
        path, output_format, resume, overwrite: as for `open_destination`; the suffix `.npz` is known too.

    Raises:
        UsageError: a format that cannot hold vectors, or cannot be resumed; or as `open_destination`.
        OutputError, MissingDependencyError: as `open_destination`.
    """
    path = None if path is None else Path(path)
    is_npz = path is not None and path.suffix.lower() == NPZ and output_format is None
    chosen: OutputFormat | Literal["npz"] = "npz" if is_npz else choose_format(path, output_format)
    if chosen == "csv":
        raise UsageError(
            "a CSV file cannot hold vectors of features", where=path, expected=".jsonl, .parquet or .npz", got="csv"
        )
    if chosen != "npz" and chosen != "parquet":
        text = open_destination(path, output_format=chosen, resume=resume, overwrite=overwrite, content="features")
        return FeatureDestination(path, chosen, text)
    assert path is not None
    if resume:
        raise UsageError("a file of this format cannot be resumed", where=path, expected="jsonl", got=chosen)
    return FeatureDestination(path, chosen, None, _locked_for_replacement(path, chosen, overwrite=overwrite))


def _locked_for_replacement(path: Path, output_format: str, *, overwrite: bool) -> WriterLock:
    """The lock on a file that is written as a whole. Raises: UsageError, OutputError."""
    path = path.resolve() if path.is_symlink() else path
    if path.exists() and not path.is_file():
        raise UsageError(f"{output_format} can only be written to a file", where=path)
    if output_format == "parquet":
        parquet_schema()
    try:
        check_folder(path)
        lock = WriterLock(path)
        has_content = path.stat().st_size > 0
    except OSError as error:
        raise_write_error(path, error)
    if has_content and not overwrite:
        lock.release()
        raise UsageError("the file already exists", where=path, fix="Replace it with --overwrite")
    return lock
