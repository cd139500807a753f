"""Parquet: one file that is valid at every moment.

A Parquet file can be read only with its footer, which comes last. So results go into `FILE.partial`, group by group;
every second that file gets its footer and takes FILE's name in one step. The next results go into a new `FILE.partial`,
which begins as a copy of FILE. Whatever kills the process, FILE is what it was at the last such step, and `--resume`
does again what came after it. A large file takes long to copy, so a step is followed by thirty times as long without
one; in memory there is never more than one group.

A full disk shows first in `FILE.partial`, and FILE is kept. While it runs there must be room for the results twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ov_mobilenet.errors import MissingDependencyError, OutputError
from ov_mobilenet.outputs.files import cannot_write
from ov_mobilenet.outputs.rows import COLUMNS, Cell, Key, rows_of
from ov_mobilenet.outputs.sink import Sink

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ov_mobilenet.runtime.results import Result

GROUP_ROWS = 65536
STEP_S = 1.0
# A step that took so long is followed by at least this many times as long without one.
REST = 30
INTEGERS = {"frame": "int64", "rank": "int32", "class_id": "int32"}
TEXTS = ("source", "label", "error")


class Parquet(Sink):
    """The rows of `rows.py` as a Parquet file.

    Args:
        path: the file; a folder that it could not be written to is found here, and it is there from now on.
        resume: whether to go on from what it holds.
        clock: seconds.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the file cannot be written, or holds something else.
    """

    def __init__(self, path: Path, *, resume: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._clock = clock
        self._schema = schema()
        self._rows: list[tuple[Cell, ...]] = []
        self._writer: pq.ParquetWriter | None = None
        self._keep = resume
        self._rest_s = 0.0
        self._stepped_at = clock()
        if not resume:
            self._step()
            self._keep = True

    def put(self, result: Result) -> None:
        """Add the rows; the file has them after the next step."""
        self._rows += rows_of(result)
        if len(self._rows) >= GROUP_ROWS:
            self._guarded(self._write_rows)
        if self._clock() - self._stepped_at >= max(STEP_S, self._rest_s):
            self._step()

    def close(self) -> None:
        """Bring the rest into the file."""
        if self._rows or self._writer is not None:
            self._step()

    def _step(self) -> None:
        begun = self._clock()
        self._guarded(self._replace)
        self._stepped_at = self._clock()
        self._rest_s = REST * (self._stepped_at - begun)

    def _replace(self) -> None:
        self._write_rows()
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())  # a power cut must not leave the name without the content
        self._partial.replace(self._path)

    def _write_rows(self) -> None:
        import pyarrow as pa

        writer = self._writer = self._writer or self._copy()
        columns = list(zip(*self._rows, strict=True)) or [()] * len(COLUMNS)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def _copy(self) -> pq.ParquetWriter:
        """A writer that has written what the file holds, small groups joined into larger ones."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Statistics of numbers and names are of use, a dictionary of probabilities is not.
        writer = pq.ParquetWriter(self._partial, self._schema, use_dictionary=["source", "label", "error"])
        try:
            if self._keep:
                with opened(self._path) as file:
                    batches: list[pa.RecordBatch] = []
                    for batch in file.iter_batches(GROUP_ROWS):
                        batches.append(batch)
                        if sum(map(len, batches)) >= GROUP_ROWS:
                            writer.write_table(pa.Table.from_batches(batches, self._schema))
                            batches = []
                    if batches:
                        writer.write_table(pa.Table.from_batches(batches, self._schema))
        except BaseException:
            writer.close()
            raise
        return writer

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do it; where that fails or is interrupted, the file stays as it is and nothing else is left."""
        try:
            act()
        except BaseException as error:
            self._rows = []
            self._abandon()
            if isinstance(error, OSError):
                raise cannot_write(self._path, error) from error
            raise

    def _abandon(self) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError:
            pass  # the disk is full; the first error is the one to tell
        finally:
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)


def schema() -> pa.Schema:
    """Columns and types: text, 64-bit floats, and integers. Raises: MissingDependencyError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet  # a broken installation shows here
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow", got=error, fix="Install it with: pip install 'ov-mobilenet[parquet]'"
        ) from error
    types = {**INTEGERS, **dict.fromkeys(TEXTS, "string")}
    return pa.schema([(name, types.get(name, "float64")) for name in COLUMNS])


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file of ours, open for reading. Raises: OutputError, if it is none or has other columns."""
    wanted = schema()
    import pyarrow as pa
    import pyarrow.parquet as pq

    fix = "Choose another file, or --overwrite this one"
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise OutputError("not a Parquet file", where=path, got=error, fix=fix) from error
    with file:
        if not file.schema_arrow.equals(wanted):
            raise OutputError(
                "not a Parquet file of this program's columns", where=path, expected=", ".join(wanted.names),
                got=", ".join(file.schema_arrow.names), fix=fix,
            )  # fmt: skip
        yield file


def read_origins(file: pq.ParquetFile) -> Iterator[Key]:
    """Source and frame of each result in the file, once a result."""
    for batch in file.iter_batches(GROUP_ROWS, columns=["source", "frame", "rank"]):
        for source, frame, rank in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if rank in (None, 1):
                yield source, frame
