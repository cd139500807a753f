"""Parquet output: a file that is valid at all times.

A Parquet file can only be read with its footer, which is written last. So results are written to a temporary file
`.FILE.….ov-partial` in row groups; every second it is completed with its footer and renamed to FILE (a checkpoint). The
next results go to a new temporary file, which begins as a copy of FILE. If the process is killed, FILE holds the
results up to the last checkpoint, and `--resume` classifies the others again. Copying a large file takes long, so the
time between two checkpoints is at least 30 times the duration of the last one. Memory holds at most one row group.

On a full disk writing the temporary file fails first, and FILE is kept. The disk needs room for the results twice. The
temporary file of a run that was killed is removed by the next run that writes FILE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING

from ov_mobilenet.errors import MissingDependencyError, OutputError, install_extra
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.run_settings import METADATA_KEY, RunSettings, encode_settings
from ov_mobilenet.outputs.sink import COLUMNS, Cell, ResultKey, Sink, result_rows
from ov_mobilenet.outputs.writer_lock import WriterLock

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ov_mobilenet.runtime.results import AnyResult

GROUP_ROWS = 65536
CHECKPOINT_S = 1.0
# The time between two checkpoints is at least this multiple of the duration of the last one.
CHECKPOINT_INTERVAL_FACTOR = 30
INTEGERS = {"frame": "int64", "rank": "int32", "class_id": "int32"}
TEXTS = ("source", "label", "error")
_FIX = "Select another file, or replace this one with --overwrite"


class ParquetSink(Sink):
    """The rows of `result_rows` as a Parquet file.

    Args:
        path: the file; created at once, so that a folder without write permission is reported here.
        resume: whether to keep the results in the file, and the settings that it records.
        settings: what the results are made with; None to record nothing.
        lock: the lock on the file; None to lock it here, until `close`.
        clock: seconds.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        OutputError: the file cannot be written, or is not an output of this program.
    """

    def __init__(
        self,
        path: Path,
        *,
        resume: bool = False,
        settings: RunSettings | None = None,
        lock: WriterLock | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._path = path
        self._lock = lock or WriterLock(path)
        self._partial = self._lock.temporary_path()
        self._clock = clock
        self._schema = parquet_schema()
        if settings is not None:
            self._schema = self._schema.with_metadata({METADATA_KEY: encode_settings(settings)})
        if resume:
            with open_parquet(path) as file:
                self._schema = self._schema.with_metadata(_own_metadata(file))
        self._rows: list[tuple[Cell, ...]] = []
        self._writer: pq.ParquetWriter | None = None
        self._file: IO[bytes] | None = None
        self._keep = resume
        self._min_interval_s = 0.0
        self._last_checkpoint = clock()
        if not resume:
            self._checkpoint()
            self._keep = True

    def put(self, result: AnyResult) -> None:
        """Add the rows of a result; they are in the file after the next checkpoint."""
        self._rows += result_rows(result)
        if len(self._rows) >= GROUP_ROWS:
            self._cleaning_up(self._write_rows)
        if self._clock() - self._last_checkpoint >= max(CHECKPOINT_S, self._min_interval_s):
            self._checkpoint()

    def close(self) -> None:
        """Write the remaining rows to the file."""
        if self._rows or self._writer is not None:
            self._checkpoint()

    def _checkpoint(self) -> None:
        begun = self._clock()
        self._cleaning_up(self._replace)
        self._last_checkpoint = self._clock()
        self._min_interval_s = CHECKPOINT_INTERVAL_FACTOR * (self._last_checkpoint - begun)

    def _replace(self) -> None:
        self._write_rows()
        assert self._writer is not None
        assert self._file is not None
        self._writer.close()
        self._writer = None
        self._file.flush()
        os.fsync(self._file.fileno())  # a power cut must not leave the name without the content
        self._file.close()
        self._lock.replace_with(self._partial)

    def _write_rows(self) -> None:
        writer = self._writer = self._writer or self._open_partial()
        writer.write_table(rows_table(self._rows, self._schema))
        self._rows = []

    def _open_partial(self) -> pq.ParquetWriter:
        """A writer of the temporary file that has copied the rows of FILE, small row groups merged into larger ones."""
        import pyarrow as pa

        # An open file: pyarrow refuses names that are not UTF-8.
        self._file = self._partial.open("wb")
        writer = parquet_writer(self._file, self._schema)
        try:
            if self._keep:
                with open_parquet(self._path) as file:
                    batches: list[pa.RecordBatch] = []
                    for batch in _batches(file, self._path):
                        batches.append(batch.replace_schema_metadata(self._schema.metadata))
                        if sum(map(len, batches)) >= GROUP_ROWS:
                            writer.write_table(pa.Table.from_batches(batches, self._schema))
                            batches = []
                    if batches:
                        writer.write_table(pa.Table.from_batches(batches, self._schema))
        except BaseException:
            writer.close()
            raise
        return writer

    def _cleaning_up(self, act: Callable[[], None]) -> None:
        """Call a function; if it fails or is interrupted, FILE is unchanged and the temporary file removed."""
        try:
            act()
        except BaseException as error:
            self._rows = []
            self._discard_partial()
            if isinstance(error, OSError):
                raise_write_error(self._path, error)
            raise

    def _discard_partial(self) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError:
            pass  # the disk is full; the first error is reported
        finally:
            with suppress(OSError):
                if self._file is not None:
                    self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)


def parquet_schema() -> pa.Schema:
    """The columns with their types: strings, 64-bit floats and integers. Raises: MissingDependencyError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet  # fails if the installation is broken
    except ImportError as error:
        raise MissingDependencyError(f"Parquet needs pyarrow ({error})", fix=install_extra("parquet")) from error
    types = {**INTEGERS, **dict.fromkeys(TEXTS, "string")}
    return pa.schema([(name, types.get(name, "float64")) for name in COLUMNS])


def parquet_writer(file: IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of files that read as one data set with those of `ParquetSink`."""
    import pyarrow.parquet as pq

    # A dictionary saves space for repeated texts, not for probabilities. With the checksums a later run detects damage.
    return pq.ParquetWriter(file, schema, use_dictionary=list(TEXTS), write_page_checksum=True)


def rows_table(rows: Sequence[tuple[Cell, ...]], schema: pa.Schema) -> pa.Table:
    """Rows of `result_rows` as a table with the columns of `parquet_schema`."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _own_metadata(file: pq.ParquetFile) -> dict[bytes, bytes] | None:
    found = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
    return None if found is None else {METADATA_KEY: found}


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open an output file for reading.

    Raises:
        OutputError: it is not Parquet or has different columns; or, in the `with` block, what is read is damaged.
    """
    expected = parquet_schema()
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = path.open("rb")
    try:
        file = pq.ParquetFile(stream, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        stream.close()
        raise _unreadable(path, "not a Parquet file", error) from error
    with stream, file:
        if not file.schema_arrow.equals(expected):
            raise OutputError(
                "not a Parquet file with the columns of this program", where=path, expected=", ".join(expected.names),
                got=", ".join(file.schema_arrow.names)[:500], fix=_FIX,
            )  # fmt: skip
        yield file


def read_keys(file: pq.ParquetFile, path: Path) -> Iterator[ResultKey]:
    """Source and frame of each result in the file, once per result. All values are read, so that damage is found now.

    Raises:
        OutputError: the file is damaged, or a row has no source.
    """
    for batch in _batches(file, path):
        columns = [batch.column(name) for name in ("source", "frame", "rank")]
        if columns[0].null_count:
            raise OutputError("a row is not a result of this program: it has no source", where=path, fix=_FIX)
        for source, frame, rank in zip(*(column.to_pylist() for column in columns), strict=True):
            if rank in (None, 1):
                yield source, frame


def _batches(file: pq.ParquetFile, path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a file, checked. Raises: OutputError, if it is damaged."""
    import pyarrow as pa

    try:
        for batch in file.iter_batches(GROUP_ROWS):
            batch.validate(full=True)
            yield batch
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, "damaged Parquet file", error) from error


def _unreadable(path: Path, what: str, error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno:  # of the disk, not of the content
        return error
    return OutputError(f"{what} ({str(error).splitlines()[0][:300]})", where=path, fix=_FIX)
