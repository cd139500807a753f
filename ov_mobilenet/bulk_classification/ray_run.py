"""Run shards on a Ray cluster with Ray Data: one loaded classifier per worker process, and only facts come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet._version import __version__
from ov_mobilenet.bulk_classification.model_package import ModelPackage
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.ray_answers import decode_answer
from ov_mobilenet.bulk_classification.ray_cluster import connected, worker_count
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.ray_worker import WorkerSetup, attempts_class, worker_class
from ov_mobilenet.bulk_classification.shard_list import SHARD_LIST, ShardPlace
from ov_mobilenet.bulk_classification.shards import FailedShard, parse_shard
from ov_mobilenet.bulk_classification.stores import open_store
from ov_mobilenet.errors import OvMobilenetError

if TYPE_CHECKING:
    from types import ModuleType

    from ov_mobilenet.outputs.run_settings import RunSettings

# Before shards that could not be read are begun again; doubled each time.
FIRST_PAUSE_S = 5.0


def run_on_ray(
    package: ModelPackage,
    places: Sequence[ShardPlace],
    output: str,
    run: RunSettings,
    ray: RaySettings,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[PartFacts | FailedShard]:
    """Classify shards on a cluster; yields each part's facts when it is written, or its failure, in any order.

    A shard that cannot be read, or whose worker dies, is begun at most `ATTEMPTS` times. Close the iterator to end the
    workers.

    Args:
        output: the output as given; every node must reach it and the inputs under the same names.
        run: recorded in each part.
        sleep: waits in seconds, before shards that could not be read are begun again.

    Raises:
        MissingDependencyError: Ray is not installed.
        OvMobilenetError: the cluster cannot be reached, a worker cannot load the model or has another version of this
            package, or an error that is not of a single shard, such as a full disk.
    """
    with connected(ray, len(package.xml) + len(package.weights)) as library:
        setup = WorkerSetup(output, dict(run), ray.cpus_per_worker, str(Path.cwd()), _local_input(output, places))
        constructor = _versions(), library.put(package), _start_attempts(library), asdict(setup)
        pause_s = FIRST_PAUSE_S
        while places:
            again: set[int] = set()
            for ended in _ended(library, places, constructor, ray):
                if isinstance(ended, FailedShard) and ended.again:
                    again.add(ended.index)
                yield ended
            places = [place for place in places if place.index in again]
            if places:
                sleep(pause_s)
                pause_s *= 2


def _ended(
    ray: ModuleType, places: Sequence[ShardPlace], constructor: tuple[Any, ...], settings: RaySettings
) -> Iterator[PartFacts | FailedShard]:
    """What the workers answer, as it comes."""
    rows = [
        {"index": place.index, "offset": place.offset, "length": place.length, "digest": place.digest}
        for place in places
    ]
    # One row per block: a task of Ray Data is a block, and a lost task is one shard.
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        worker_class(),
        fn_constructor_args=constructor,
        batch_size=1,
        batch_format="numpy",
        # One task runs and one waits, so that a worker goes on at once: with one task alone, two workers classified a
        # third fewer images per second in parts of 500 (tools/bench/README.md).
        compute=ray.data.ActorPoolStrategy(
            size=worker_count(ray, settings, len(rows)), max_tasks_in_flight_per_actor=2
        ),
        num_cpus=settings.cpus_per_worker,
        # Ray Data has max_restarts=-1 and max_task_retries=-1 (passing them is deprecated): after the death of a worker
        # or node it starts the worker and its shard again, anywhere and without end. `ShardWorker` counts.
    )
    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in batch.to_pylist():
                yield _checked(row["answer"], row["problem"])
    except ray.exceptions.RayError as error:
        raise OvMobilenetError("Ray cannot go on", got=str(error).strip().partition("\n")[0]) from error


def _checked(data: bytes, problem: str) -> PartFacts | FailedShard:
    """The answer of a worker, if it is not an error."""
    if problem:
        wanted = " and ".join(f"{name.replace('_', '-')} {version}" for name, version in _versions().items())
        raise OvMobilenetError(problem, fix=f"Install {wanted} on every node")
    return decode_answer(data)


def _versions() -> dict[str, str]:
    import openvino as ov

    return {"ov_mobilenet": __version__, "openvino": ov.get_version()}


def _start_attempts(ray: ModuleType) -> Any:
    """The actor that counts attempts, on the node of this process, whose end also ends the run."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(attempts_class()).options(num_cpus=0, max_restarts=0, scheduling_strategy=here).remote()


def _local_input(output: str, places: Sequence[ShardPlace]) -> str | None:
    """A local file of the first shard, to check that the nodes have it; None if it is not a local file."""
    shard = parse_shard(open_store(output).read(SHARD_LIST, places[0].offset, places[0].length))
    return next((path for path in shard.paths[:1] if "://" not in path and Path(path).exists()), None)
