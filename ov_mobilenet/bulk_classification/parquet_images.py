"""Images in Parquet files: their bytes, or the paths of image files, in one column."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.bulk_classification.remote_files import MAX_REASON, is_remote, parse_url
from ov_mobilenet.bulk_classification.remote_reading import open_remote
from ov_mobilenet.errors import ImageError, MissingDependencyError, UsageError, install_extra
from ov_mobilenet.images.image_files import MAX_FILE_BYTES
from ov_mobilenet.images.open_file import open_file
from ov_mobilenet.inputs.sources import MAX_LINE_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# In the order of preference if several columns could hold the images.
BYTES_NAMES = ("image", "img", "jpg", "jpeg", "png", "image_bytes", "bytes", "content", "data")
PATH_NAMES = (
    "image", "img", "path", "image_path", "img_path", "file", "filename", "file_name", "filepath", "file_path",
    "uri", "url",
)  # fmt: skip
BUFFER_BYTES = 1 << 20
MAX_LISTED, MAX_COLUMN = 20, 100


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


@dataclass(frozen=True)
class _Columns:
    """The columns to read.

    Attributes:
        image: of the images.
        fields: for a struct, its fields that are read: `bytes`, and `path` if it has one; empty for a plain column.
        is_path: whether it holds paths.
        source: of the names in the results.
    """

    image: str
    fields: tuple[str, ...]
    is_path: bool
    source: str | None

    @property
    def leaves(self) -> list[str]:
        """The names of the columns in Parquet's own form."""
        names = [f"{self.image}.{field}" for field in self.fields] or [self.image]
        return names if self.source in (None, self.image) else [*names, str(self.source)]


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
        _find_columns(file.schema_arrow, name_of(path), image_column, source_column)
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
            columns = _find_columns(file.schema_arrow, name, image_column, source_column)
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


def name_of(path: str) -> str:
    """A path, or a URL without its options."""
    return parse_url(path).name if is_remote(path) else path


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


def _group(file: pq.ParquetFile, group: int, row: int, end: int, columns: _Columns, name: str) -> Iterator[ParquetCell]:
    import pyarrow as pa

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


def _cell(batch: pa.RecordBatch, columns: _Columns, name: str) -> ParquetCell:
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


def _value(cell: Any, columns: _Columns) -> tuple[Any, bool]:
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


def _find_columns(schema: pa.Schema, name: str, image_column: str | None, source_column: str | None) -> _Columns:
    """Raises: UsageError."""
    from pyarrow import types

    if source_column is not None:
        kind = _type_of(schema, name, source_column, "source")
        if not (_is_text(kind) or types.is_integer(kind)):
            raise _wrong_column(name, source_column, "source", "text or integers", kind)
    if image_column is not None:
        kind = _type_of(schema, name, image_column, "image")
        if _is_struct(kind):
            fields = ("bytes", "path") if kind.get_field_index("path") >= 0 else ("bytes",)
            return _Columns(image_column, fields, False, source_column)
        if _is_bytes(kind) or _is_text(kind):
            return _Columns(image_column, (), _is_text(kind), source_column)
        raise _wrong_column(name, image_column, "image", "binary, a struct with bytes, or paths as text", kind)
    with_bytes = [field.name for field in schema if _is_bytes(field.type) or _is_struct(field.type)]
    with_text = [field.name for field in schema if _is_text(field.type)]
    found = with_bytes[0] if len(with_bytes) == 1 else _by_name(with_bytes, BYTES_NAMES)
    if not with_bytes:
        found = _by_name(with_text, PATH_NAMES)
    if found is None:
        raise UsageError(
            "several columns could hold the images" if with_bytes else "no column with images is found",
            where=name,
            expected="a single binary column, one with a usual name such as image, or paths in a column such as path",
            got=_listed(schema),
            fix="Name it: --image-column NAME",
        )
    return _find_columns(schema, name, found, source_column)


def _by_name(columns: list[str], names: tuple[str, ...]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def _type_of(schema: pa.Schema, name: str, column: str, what: str) -> pa.DataType:
    places = schema.get_all_field_indices(column)
    if len(places) != 1:
        problem = "there is no such column" if not places else "several columns have the same name"
        raise UsageError(f"{problem} for --{what}-column", where=name, expected=column, got=_listed(schema))
    return schema.field(places[0]).type


def _wrong_column(name: str, column: str, what: str, expected: str, kind: pa.DataType) -> UsageError:
    return UsageError(f"wrong type of column {column!r} for --{what}-column", where=name, expected=expected, got=kind)


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_struct(kind: pa.DataType) -> bool:
    """Whether it is a struct {bytes, path}, as Hugging Face datasets write images."""
    from pyarrow import types

    return bool(types.is_struct(kind)) and kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type)


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _listed(schema: pa.Schema) -> str:
    columns = [f"{field.name} ({field.type})"[:MAX_COLUMN] for field in list(schema)[:MAX_LISTED]]
    return ", ".join([*columns, *(["…"] if len(schema) > MAX_LISTED else [])]) or "no columns"


def _reason(error: BaseException) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0] or type(error).__name__
    return text[:MAX_REASON]
