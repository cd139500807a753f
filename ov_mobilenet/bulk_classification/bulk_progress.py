"""`BulkProgress` and `BulkResult`: how far a bulk run is, and what it has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ov_mobilenet.bulk_classification.failed_shards import FailedShard
from ov_mobilenet.bulk_classification.manifest import Manifest


@dataclass(frozen=True)
class BulkProgress:
    """How far a run is.

    Attributes:
        parts: parts that are there, also those of earlier runs.
        total_parts: number of parts of the whole output.
        images, errors: images that are classified, and those of them that failed, also in earlier runs.
        total_images: None if it is not known before all images are read.
        images_now: images classified in this run.
        failed_parts: parts that could not be written in this run.
    """

    parts: int
    total_parts: int
    images: int
    total_images: int | None
    images_now: int
    errors: int
    failed_parts: int = 0


OnBulkProgress = Callable[[BulkProgress], None]


@dataclass(frozen=True)
class BulkResult:
    """What `bulk` has done.

    Attributes:
        manifest: of the output, with the parts of earlier runs.
        failed_shards: shards that could not be read; their parts are missing. The same call tries them again.
        images_now: images classified in this run.
        seconds: time of this run from the compiled model to the last part; with Ray, from the start of the cluster.
    """

    manifest: Manifest
    failed_shards: tuple[FailedShard, ...] = ()
    images_now: int = 0
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float | None:
        """Throughput of this run; None if it classified nothing."""
        return self.images_now / self.seconds if self.images_now and self.seconds > 0 else None
