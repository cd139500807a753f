"""Images in Parquet files: their bytes, or the paths of image files, in one column."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.bulk_classification.parquet_columns import ParquetColumns, find_columns
from ov_mobilenet.bulk_classification.remote_files import MAX_REASON, is_remote, name_of, parse_url
from ov_mobilenet.bulk_classification.remote_reading import open_remote
from ov_mobilenet.errors import ImageError, MissingDependencyError, UsageError, install_extra
from ov_mobilenet.images.image_files import MAX_FILE_BYTES
from ov_mobilenet.inputs.sources import MAX_LINE_BYTES
from ov_mobilenet.operating_system.open_file import open_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class ParquetFacts:
    """What the footer of a file says.

    Attributes:
        size: of the file in bytes.
        rows: number of rows of each row group.
    """

    size: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class ParquetCell:
    """A row of a Parquet file.

    Attributes:
        image: the bytes or the path of an image file; the error in its place.
        source: name of the image in the results.
    """

    image: bytes | str | ImageError
    source: str


def parquet_facts(path: str, image_column: str | None, source_column: str | None) -> ParquetFacts:
    """Read the footer of a file.

    Args:
        path: a path, or an s3:// or gs:// URL.

    Raises:
        UsageError: it has no column with images, or not the named columns.
        ImageError: it is damaged or missing.
        ShardReadError: it cannot be read now.
    """
    with _readable(path, read_ahead=False) as (size, file):
        find_columns(file.schema_arrow, name_of(path), image_column, source_column)
        metadata = file.metadata
        rows = tuple(max(0, metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups))
        return ParquetFacts(size, rows)


def read_parquet(
    path: str, row_groups: tuple[int, int], image_column: str | None, source_column: str | None
) -> Iterator[ParquetCell]:
    """The images of some row groups. One that is damaged gives the images before the damage, and then one failure.

    Args:
        path: a path, or an s3:// or gs:// URL.
        row_groups: the first one, and the one after the last.

    Raises:
        ShardReadError: the file cannot be read now.
    """
    name = name_of(path)
    try:
        with _readable(path, read_ahead=True) as (_, file):
            columns = find_columns(file.schema_arrow, name, image_column, source_column)
            count = file.metadata.num_row_groups
            row = sum(file.metadata.row_group(group).num_rows for group in range(min(row_groups[0], count)))
            for group in range(*row_groups):
                if group >= count:
                    raise ImageError("the file has changed", expected=f"{row_groups[1]} row groups", got=count)
                end = row + file.metadata.row_group(group).num_rows
                yield from _group(file, group, row, end, columns, name)
                row = end
    except (ImageError, UsageError) as error:
        yield ParquetCell(ImageError(error.what, expected=error.expected, got=error.got), name)


@contextmanager
def _readable(path: str, *, read_ahead: bool) -> Iterator[tuple[int, pq.ParquetFile]]:
    """Open a Parquet file. Raises: ImageError, ShardReadError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("Parquet files need pyarrow", fix=install_extra("bulk")) from error
    try:
        with ExitStack() as opened:
            metadata: Any = None
            file: Any
            if is_remote(path):
                url = parse_url(path)
                remote = opened.enter_context(open_remote(url))
                file, size = remote, remote.size
                if read_ahead:
                    metadata = pq.read_metadata(remote)
                    file = opened.enter_context(BufferedReader(open_remote(url, read_ahead=True), BUFFER_BYTES))
            else:
                status = Path(path).stat()
                if not stat.S_ISREG(status.st_mode):
                    raise ImageError("not a file")
                file, size = opened.enter_context(open_file(Path(path))), status.st_size
            # Without `pre_buffer`, a row group is read page by page.
            yield (
                size,
                pq.ParquetFile(
                    file, metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES,
                    page_checksum_verification=True,
                ),
            )  # fmt: skip
    except (OSError, ValueError, pa.ArrowException, MemoryError) as error:
        raise ImageError(f"the Parquet file cannot be read ({_reason(error)})") from error


def _group(
    file: pq.ParquetFile, group: int, row: int, end: int, columns: ParquetColumns, name: str
) -> Iterator[ParquetCell]:
    import pyarrow as pa

    size = _column_bytes(file, group, columns)
    if size > 2 * MAX_FILE_BYTES * (end - row):  # to read an image takes four times its size in memory
        expected = f"at most {MAX_FILE_BYTES} bytes per image"
        error = ImageError(f"rows {row} to {end - 1} are too large", expected=expected, got=f"{size} bytes")
        yield ParquetCell(error, name)
        return
    try:
        # One row at a time: a dictionary can hold a large image that every row of a small file refers to.
        for batch in file.iter_batches(batch_size=1, row_groups=[group], columns=columns.leaves, use_threads=False):
            yield _cell(batch, columns, f"{name}/{row}")
            row += 1
    except (OSError, ValueError, pa.ArrowException, MemoryError) as error:
        yield ParquetCell(ImageError(f"rows {row} to {end - 1} cannot be read ({_reason(error)})"), name)
    else:
        if row < end:
            yield ParquetCell(ImageError("the row group ends early", expected=f"{end} rows", got=row), name)


def _column_bytes(file: pq.ParquetFile, group: int, columns: ParquetColumns) -> int:
    """The size of the images of a row group as the footer states it, in bytes."""
    metadata = file.metadata.row_group(group)
    chunks = (metadata.column(place) for place in range(metadata.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == columns.leaves[0])


def _cell(batch: pa.RecordBatch, columns: ParquetColumns, name: str) -> ParquetCell:
    """The image of a batch with one row; its default name is that of the row."""
    import pyarrow as pa

    source = name
    try:
        if columns.source is not None and (given := batch.column(columns.source)[0]).is_valid:
            source = _text(given)
        value, is_path = _value(batch.column(columns.image)[0], columns)
        if value is None:
            return ParquetCell(ImageError("the row has no image", expected="a value", got="null"), source)
        if is_path:
            path = _text(value)
            return ParquetCell(path, source if columns.source is not None else path)
        data = (value.value if isinstance(value, pa.DictionaryScalar) else value).as_buffer()
        if data.size > MAX_FILE_BYTES:
            raise ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got=data.size)
        return ParquetCell(data.to_pybytes(), source)
    except UnicodeDecodeError:
        return ParquetCell(ImageError("the text is not UTF-8"), source)
    except ImageError as error:
        return ParquetCell(error, source)


def _value(cell: Any, columns: ParquetColumns) -> tuple[Any, bool]:
    """The scalar with the image, None for null, and whether it is a path."""
    if not columns.fields or not cell.is_valid:
        return (cell if cell.is_valid else None), columns.is_path
    for field in columns.fields:
        if cell[field].is_valid:
            return cell[field], field == "path"
    return None, False


def _text(value: Any) -> str:
    """A text or a number. Raises: ImageError, UnicodeDecodeError."""
    text = value.as_py()
    if isinstance(text, str) and len(text) > MAX_LINE_BYTES:
        raise ImageError("the text is too long", expected=f"at most {MAX_LINE_BYTES} characters", got=len(text))
    return str(text)


def _reason(error: BaseException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0] or type(error).__name__
    return text[:MAX_REASON]
