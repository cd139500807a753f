"""Files of feature vectors that are complete or have no content: NumPy's `.npz` and Parquet.

    npz       `sources`: strings (N,), `features`: float32 (N, dimension); images that failed are left out. The vectors
              are in memory until the end.
    parquet   columns source, frame, time_s, features (a list of float32), error; a row per image

Both are written under a temporary name beside the file, which is renamed at the end of a run; a run that is stopped
leaves an older file as it was. JSON Lines hold the results of a stopped run, and `--resume` continues them. The file
itself is locked meanwhile, so it is there, empty, from the beginning; a run that is killed leaves it and the temporary
file, and the next run replaces both.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from ov_mobilenet.errors import printable
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.sink import Sink, encodable
from ov_mobilenet.outputs.text_sinks import TextWriter
from ov_mobilenet.outputs.writer_lock import WriterLock
from ov_mobilenet.runtime.results import AnyResult, Features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUP_VECTORS = 4096


class FeatureTableSink(Sink):
    """A line per image: its source, the number of values and their Euclidean norm."""

    def __init__(self, out: TextWriter) -> None:
        self._out = out

    def put(self, result: AnyResult) -> None:
        """Write a line. Failures have none: they are reported on stderr."""
        if not isinstance(result, Features):
            return
        frame = "" if result.frame is None else f"  frame {result.frame}"
        norm = sum(value * value for value in result.features) ** 0.5
        self._out.write(
            f"{printable(result.source)}{frame}  {len(result.features)} values, norm {norm:.4g}  "
            f"({result.timings_ms.total:.1f} ms)\n"
        )
        self._out.flush()


class _WholeFile(Sink):
    """A file that is written under a temporary name and renamed when it is complete.

    Args:
        lock: the lock on the file.

    Raises:
        OutputError: the temporary file cannot be created.
    """

    def __init__(self, lock: WriterLock) -> None:
        self._lock = lock
        try:
            self._partial = lock.temporary_path()
            # An open file: pyarrow refuses names that are not UTF-8.
            self._file: IO[bytes] = self._partial.open("wb")
        except OSError as error:
            raise_write_error(lock.path, error)

    def close(self) -> None:
        """Complete the file."""
        try:
            self._complete()
            self._file.flush()
            os.fsync(self._file.fileno())  # a power cut must not leave the name without the content
            self._file.close()
            self._lock.replace_with(self._partial)
        except BaseException as error:
            self.abandon()
            if isinstance(error, OSError):
                raise_write_error(self._lock.path, error)
            raise

    def abandon(self) -> None:
        """Delete what was written; an older file is kept."""
        with suppress(OSError):  # the disk may be full
            self._file.close()
        with suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _complete(self) -> None:
        """Write what is left to the temporary file."""
        raise NotImplementedError


class NpzSink(_WholeFile):
    """`sources` and `features` as a NumPy archive."""

    def __init__(self, lock: WriterLock) -> None:
        super().__init__(lock)
        self._sources: list[str] = []
        self._features: list[NDArray[np.float32]] = []

    def put(self, result: AnyResult) -> None:
        """Keep the vector until `close`; a failure is left out. A video frame is named SOURCE#FRAME."""
        import numpy as np

        if not isinstance(result, Features):
            return
        source = encodable(result).source
        self._sources.append(source if result.frame is None else f"{source}#{result.frame}")
        self._features.append(np.asarray(result.features, np.float32))

    def _complete(self) -> None:
        import numpy as np

        features = np.stack(self._features) if self._features else np.zeros((0, 0), np.float32)
        np.savez(self._file, sources=np.array(self._sources, np.str_), features=features)


class FeatureParquetSink(_WholeFile):
    """One row per image."""

    def __init__(self, lock: WriterLock) -> None:
        super().__init__(lock)
        self._rows: list[AnyResult] = []
        self._writer: Any = None

    def put(self, result: AnyResult) -> None:
        """Add a row. Raises: OutputError."""
        self._rows.append(encodable(result))
        if len(self._rows) >= GROUP_VECTORS:
            try:
                self._write_rows()
            except OSError as error:
                self.abandon()
                raise_write_error(self._lock.path, error)

    def abandon(self) -> None:
        """Delete what was written; an older file is kept."""
        writer, self._writer = self._writer, None
        with suppress(OSError):
            if writer is not None:
                writer.close()
        super().abandon()

    def _complete(self) -> None:
        self._write_rows()
        self._writer.close()
        self._writer = None

    def _write_rows(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows, self._rows = self._rows, []
        if self._writer is None:
            # Not of a fixed size: pyarrow before 26 (25 is the newest for Python 3.10) cannot read those with nulls.
            columns: list[Any] = [
                ("source", pa.string()), ("frame", pa.int64()), ("time_s", pa.float64()),
                ("features", pa.list_(pa.float32())), ("error", pa.string()),
            ]  # fmt: skip
            self._writer = pq.ParquetWriter(self._file, pa.schema(columns))
        columns = [
            [row.source for row in rows],
            [row.frame for row in rows],
            [row.time_s for row in rows],
            [row.features if isinstance(row, Features) else None for row in rows],
            [getattr(row, "error", None) for row in rows],
        ]
        schema = self._writer.schema
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
