"""Run shards on a Ray cluster with Ray Data: one loaded classifier per worker process, and only facts come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.failed_shards import FailedShard
from ov_mobilenet.bulk_classification.model_package import ModelPackage
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.shard_list import ShardPlace

if TYPE_CHECKING:
    from ov_mobilenet.outputs.run_settings import RunSettings


def run_on_ray(
    package: ModelPackage, places: Sequence[ShardPlace], output: str, run: RunSettings, ray: RaySettings
) -> Iterator[PartFacts | FailedShard]:
    """Classify shards on a cluster; yields the facts of each part when it is written, or its final failure, in any order.

    Args:
        output: the output as given; every node must reach it and the inputs under the same names.
        run: recorded in each part.

    Raises:
        MissingDependencyError: Ray is not installed.
        OvMobilenetError: the cluster cannot be reached, or a worker cannot load the model.
    """
    raise NotImplementedError
    yield
