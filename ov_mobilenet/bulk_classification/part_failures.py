"""The images of a part that failed, read from its rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ov_mobilenet.bulk_classification.stores import Store
from ov_mobilenet.errors import OutputError
from ov_mobilenet.runtime.results import Failure

log = logging.getLogger(__name__)


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
