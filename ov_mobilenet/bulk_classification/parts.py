"""Parts: Parquet files with the rows of one shard, as `classify -o FILE.parquet` writes them, and their facts."""

from __future__ import annotations

import io

import msgspec
from msgspec import Struct

from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.stores import Store
from ov_mobilenet.outputs.parquet_sink import GROUP_ROWS, parquet_schema
from ov_mobilenet.outputs.run_settings import METADATA_KEY, RunSettings, encode_settings
from ov_mobilenet.outputs.sink import Cell, result_rows
from ov_mobilenet.runtime.results import AnyResult, Failure

PART_KEY = b"ov_mobilenet.part"


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


class PartWriter:
    """Collects the results of one shard and writes its part at the end."""

    def __init__(self, store: Store, shard: Shard, run: RunSettings, device: str, inference_precision: str) -> None:
        self.shard = shard
        self.images = 0
        self.errors = 0
        self._store = store
        self._run = run
        self._device = device
        self._precision = inference_precision
        self._rows: list[tuple[Cell, ...]] = []

    def put(self, result: AnyResult) -> None:
        """Add a result."""
        self.images += 1
        self.errors += isinstance(result, Failure)
        self._rows += result_rows(result)

    def close(self) -> PartFacts:
        """Write the part. Raises: OutputError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        facts = PartFacts(
            name=self.shard.part_name, shard=self.shard.digest, images=self.images, errors=self.errors,
            device=self._device, inference_precision=self._precision,
        )  # fmt: skip
        schema = parquet_schema().with_metadata(
            {METADATA_KEY: encode_settings(self._run), PART_KEY: msgspec.json.encode(facts)}
        )
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, schema, use_dictionary=["source", "label", "error"]) as writer:
            for begin in range(0, len(self._rows), GROUP_ROWS):
                rows = self._rows[begin : begin + GROUP_ROWS]
                arrays = [
                    pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        data = buffer.getvalue()
        self._store.write(facts.name, data)
        return msgspec.structs.replace(facts, bytes=len(data))


def read_part_facts(store: Store, name: str, size: int) -> PartFacts | None:
    """The facts of an existing part, from its footer; None if it is damaged, or not a part of a bulk run."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with store.open(name) as file:
            metadata = pq.read_metadata(file).metadata or {}
        facts = msgspec.json.decode(metadata[PART_KEY], type=PartFacts)
    except (pa.ArrowException, KeyError, msgspec.DecodeError):
        return None
    return msgspec.structs.replace(facts, bytes=size)
