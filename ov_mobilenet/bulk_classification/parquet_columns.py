"""Choose the columns of a Parquet file: that of the images, and that of their names in the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

# In the order of preference if several columns could hold the images.
BYTES_NAMES = ("image", "img", "jpg", "jpeg", "png", "image_bytes", "bytes", "content", "data")
PATH_NAMES = (
    "image", "img", "path", "image_path", "img_path", "file", "filename", "file_name", "filepath", "file_path",
    "uri", "url",
)  # fmt: skip
MAX_LISTED, MAX_COLUMN = 20, 100


@dataclass(frozen=True)
class ParquetColumns:
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


def find_columns(schema: pa.Schema, name: str, image_column: str | None, source_column: str | None) -> ParquetColumns:
    """Choose the columns to read.

    Args:
        name: of the file, for messages.
        image_column, source_column: see `BulkSettings`.

    Raises:
        UsageError: a named column does not exist or has a wrong type; no column with images is found, or several.
    """
    from pyarrow import types

    if source_column is not None:
        kind = _type_of(schema, name, source_column, "source")
        if not (_is_text(kind) or types.is_integer(kind)):
            raise _wrong_column(name, source_column, "source", "text or integers", kind)
    if image_column is not None:
        kind = _type_of(schema, name, image_column, "image")
        if _is_struct(kind):
            fields = ("bytes", "path") if kind.get_field_index("path") >= 0 else ("bytes",)
            return ParquetColumns(image_column, fields, False, source_column)
        if _is_bytes(kind) or _is_text(kind):
            return ParquetColumns(image_column, (), _is_text(kind), source_column)
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
    return find_columns(schema, name, found, source_column)


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
