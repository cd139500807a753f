"""Parts: Parquet files with the rows of one shard, as `classify -o FILE.parquet` writes them, and their facts."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from typing import IO, TYPE_CHECKING, NoReturn, cast

import msgspec
from msgspec import Struct

from ov_mobilenet.bulk_classification.output_advice import AGAIN
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.stores import Store
from ov_mobilenet.errors import OutputError
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.parquet_sink import GROUP_ROWS, parquet_schema, parquet_writer, rows_table
from ov_mobilenet.outputs.run_settings import METADATA_KEY, RunSettings, decode_settings, encode_settings
from ov_mobilenet.outputs.sink import Cell, result_rows
from ov_mobilenet.runtime.results import AnyResult, Failure

if TYPE_CHECKING:
    import pyarrow.parquet as pq

log = logging.getLogger(__name__)

PART_KEY = b"ov_mobilenet.part"
# A larger part is collected in a temporary file. A part of 2000 images has about 0.5 MB.
MEMORY_BYTES = 8 << 20


class PartFacts(Struct, frozen=True, kw_only=True):
    """What is known of a part.

    Attributes:
        name: its file name.
        shard: digest of its shard.
        images: number of images, failures included.
        errors: number of images that failed.
        bytes: size of the file; 0 inside the file itself.
        device, inference_precision: what the images really ran on.
    """

    name: str
    shard: str
    images: int
    errors: int
    bytes: int = 0
    device: str = ""
    inference_precision: str = ""


class FoundPart(Struct, frozen=True):
    """What the footer of a part records.

    Attributes:
        settings: what its results were made with.
    """

    facts: PartFacts
    settings: RunSettings


class PartWriter:
    """Collects the results of one shard and writes its part at the end.

    Memory holds one row group of `GROUP_ROWS` rows, and at most `MEMORY_BYTES` of the part; the rest is in a temporary
    file of this machine, so that the part can be sent to the output as a whole.

    Attributes:
        images, errors: number of results, and of failures among them, so far.
    """

    def __init__(self, store: Store, shard: Shard, run: RunSettings, device: str, inference_precision: str) -> None:
        self.shard = shard
        self.images = 0
        self.errors = 0
        self._store = store
        self._schema = parquet_schema().with_metadata({METADATA_KEY: encode_settings(run)})
        self._device = device
        self._precision = inference_precision
        self._rows: list[tuple[Cell, ...]] = []
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None

    def put(self, result: AnyResult) -> None:
        """Add a result. Raises: OutputError, if the temporary file cannot be written."""
        self.images += 1
        self.errors += isinstance(result, Failure)
        self._rows += result_rows(result)
        if len(self._rows) >= GROUP_ROWS:
            self._write_rows()

    def close(self) -> PartFacts:
        """Write the part. Raises: OutputError."""
        facts = PartFacts(
            name=self.shard.part_name, shard=self.shard.digest, images=self.images, errors=self.errors,
            device=self._device, inference_precision=self._precision,
        )  # fmt: skip
        try:
            self._write_rows(facts)
            assert self._file is not None
            size = self._file.tell()
            write_from(self._store, facts.name, self._file, size)
        finally:
            self.discard()
        return msgspec.structs.replace(facts, bytes=size)

    def discard(self) -> None:
        """Delete what was collected; after an error, if there is no `close`. Further calls do nothing."""
        writer, self._writer = self._writer, None
        file, self._file = self._file, None
        self._rows = []
        with suppress(OSError):
            if writer is not None:
                writer.close()
        with suppress(OSError):
            if file is not None:
                file.close()

    def _write_rows(self, last: PartFacts | None = None) -> None:
        """Write a row group; with the facts of the part, the footer too."""
        try:
            if self._writer is None:
                self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(MEMORY_BYTES))  # noqa: SIM115
                self._writer = parquet_writer(self._file, self._schema)
            if self._rows:
                self._writer.write_table(rows_table(self._rows, self._schema))
                self._rows = []
            if last is not None:
                # Its row counts are only known now, so it is not in the schema as the settings are.
                self._writer.add_key_value_metadata({PART_KEY: msgspec.json.encode(last)})
                self._writer.close()
                self._writer = None
        except OSError as error:
            self.discard()
            temporary_file_error(error)


def temporary_file_error(error: OSError) -> NoReturn:
    """Raise the error for a temporary file of this machine that cannot be written. Raises: OutputError."""
    other = "Select another folder for temporary files with the environment variable TMPDIR"
    raise_write_error(
        f"temporary file in {tempfile.gettempdir()}", error, fix=f"{other}. {AGAIN}",
        fix_full=f"Free disk space. {other}. {AGAIN}",
    )  # fmt: skip


def write_from(store: Store, name: str, file: IO[bytes], size: int) -> None:
    """Write the content of a temporary file to a store, in bounded memory. Raises: OutputError."""
    file.flush()
    if size <= MEMORY_BYTES:
        file.seek(0)
        store.write(name, file.read())
        return
    with mmap(file.fileno(), 0, access=ACCESS_READ) as view:
        store.write(name, view)


def read_part_facts(store: Store, name: str, size: int, run: RunSettings | None = None) -> PartFacts | None:
    """The facts of an existing part, from its footer; None if it is damaged, or not a part of a bulk run.

    Args:
        run: what its results must have been made with, otherwise it is None too.

    Raises:
        OutputError: it cannot be read now.
    """
    found = read_part(store, name, size)
    return None if found is None or (run is not None and dict(found.settings) != dict(run)) else found.facts


def read_part(store: Store, name: str, size: int) -> FoundPart | None:
    """What the footer of an existing part records; for the result and the errors see `read_part_facts`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with store.open(name) as file:
            metadata = pq.read_metadata(file).metadata or {}
        facts = msgspec.json.decode(metadata[PART_KEY], type=PartFacts)
        settings = decode_settings(metadata[METADATA_KEY])
    except (pa.ArrowException, KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    except OSError as error:  # pyarrow also reports damaged files as OSError, without a number
        if error.errno is None:
            return None
        raise OutputError(f"the part cannot be read ({error})", where=f"{store.text}/{name}") from error
    return None if settings is None else FoundPart(msgspec.structs.replace(facts, bytes=size), settings)


def read_failures(store: Store, name: str) -> Iterator[Failure]:
    """The failures in a part, in order; if it cannot be read now, a warning is logged and there are none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with store.open(name) as file, pq.ParquetFile(file) as part:
            for rows in part.iter_batches(columns=["source", "frame", "time_s", "error"]):
                failed = rows.filter(pc.is_valid(rows.column("error")))
                for row in failed.to_pylist():
                    yield Failure(row["source"], row["error"], row["frame"], row["time_s"])
    except (OutputError, OSError, pa.ArrowException) as error:
        log.warning("%s: its failed images cannot be listed (%s)", name, error)
