"""What runs in the actors of a Ray cluster: `ShardWorker` makes parts, and a small actor counts attempts.

The two classes that Ray gets are sent by content (cloudpickle does so with classes that are defined in a function), so
that they also start on a node without this package, or with another version, and say so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter, read_part_facts
from ov_mobilenet.bulk_classification.ray_answers import (
    Answer,
    ErrorAnswer,
    UnexpectedError,
    encode_answer,
    error_answer,
)
from ov_mobilenet.bulk_classification.run_here import run_shards
from ov_mobilenet.bulk_classification.run_loop import check_errors
from ov_mobilenet.bulk_classification.shard_list import SHARD_LIST, ShardPlace
from ov_mobilenet.bulk_classification.shards import ATTEMPTS, FailedShard, Shard, failed_shard, parse_shard
from ov_mobilenet.bulk_classification.stores import open_store
from ov_mobilenet.errors import OutputError, OvMobilenetError
from ov_mobilenet.runtime.results import Failure, NotRun, Result

if TYPE_CHECKING:
    from ov_mobilenet.bulk_classification.model_package import ModelPackage


def attempts_class() -> type:
    """The class of the actor that counts how often each shard was begun, also by workers that have died."""

    class BulkAttempts:
        def __init__(self) -> None:
            self._begun: dict[int, int] = {}

        def begin(self, index: int) -> int:
            """Count an attempt; returns its number, from 1."""
            self._begun[index] = self._begun.get(index, 0) + 1
            return self._begun[index]

    return BulkAttempts


def worker_class() -> type:
    """The class for `Dataset.map_batches`: a batch with one shard in, one encoded `Answer` or a text out."""

    class BulkWorker:
        def __init__(self, versions: dict[str, str], package: Any, attempts: Any, setup: dict[str, Any]) -> None:
            import importlib
            import platform

            self._worker, self._problem, found = None, "", {}
            node = platform.node()
            try:
                found["ov_mobilenet"] = importlib.import_module("ov_mobilenet._version").__version__
                found["openvino"] = importlib.import_module("openvino").get_version()
            except ImportError as error:
                self._problem = f"{node}: a node of the Ray cluster cannot import {error.name}"
            wrong = [name for name in found if found[name] != versions[name]]
            if not self._problem and wrong:
                self._problem = (
                    f"{node}: a node of the Ray cluster has another {wrong[0]}: expected {versions[wrong[0]]}, "
                    f"got {found[wrong[0]]}"
                )
            if not self._problem:
                try:
                    module = importlib.import_module("ov_mobilenet.bulk_classification.ray_worker")
                except ImportError as error:
                    self._problem = f"{node}: a node of the Ray cluster cannot import {error.name}"
                    return
                self._worker = module.ShardWorker(node, package, attempts, module.WorkerSetup(**setup))

        def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
            answer = b"" if self._worker is None else self._worker.answer({key: batch[key][0] for key in batch})
            return {"answer": [answer], "problem": [self._problem]}

    return BulkWorker


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker of a run gets.

    Attributes:
        output: as given to the run.
        run: recorded in each part.
        cpus: number of CPUs of each worker.
        folder: current folder of the driver, which relative paths start from.
        probe: a local input file that the driver has; None for none.
    """

    output: str
    run: dict[str, str]
    cpus: int
    folder: str
    probe: str | None


class ShardWorker:
    """Makes the parts of shards, one after the other.

    Args:
        node: host name.
        package: reference to the `ModelPackage`.
        attempts: actor of `attempts_class`.
    """

    def __init__(self, node: str, package: Any, attempts: Any, setup: WorkerSetup) -> None:
        import ray

        self._node = node
        self._attempts = attempts
        self._setup = setup
        with suppress(OSError):  # a node without this folder can run on absolute paths and URLs
            os.chdir(setup.folder)
        self._error: ErrorAnswer | UnexpectedError | None = None
        try:
            self._store = open_store(setup.output)
            if setup.probe is not None and not Path(setup.probe).exists():
                raise OvMobilenetError(
                    "a node of the Ray cluster does not have this input", where=f"{node}: {setup.probe}",
                    fix="Every node must reach the inputs under the same names: use a shared folder or a bucket",
                )  # fmt: skip
            self._load(ray.get(package))
        except Exception as error:  # noqa: BLE001 (an exception here would make Ray start the actor again and again)
            self._error = error_answer(error, node)

    def _load(self, package: ModelPackage) -> None:
        from ov_mobilenet.images.decode import cv2

        limit_threads(self._setup.cpus)
        cv2().setNumThreads(0)  # the decode workers are the parallelism
        self._settings = package.settings
        # The files are not needed afterwards, so an actor that is killed leaves none.
        with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as folder:
            self.classifier = package.load(Path(folder), self._setup.cpus)

    def answer(self, row: Mapping[str, Any]) -> bytes:
        """Make the part of a shard; returns the encoded `Answer`."""
        place = ShardPlace(int(row["index"]), int(row["offset"]), int(row["length"]), str(row["digest"]))
        try:
            answer: Answer = self._error or self._run_shard(place)
        except Exception as error:  # noqa: BLE001 (raised by the driver)
            answer = error_answer(error, self._node)
        return encode_answer(answer)

    def _run_shard(self, place: ShardPlace) -> PartFacts | FailedShard:
        attempt = self._count(place)
        shard = self._read_shard(place)
        # Ray runs a shard again after its worker or node has died, also if only the answer was lost.
        if attempt > 1 and (facts := self._existing(shard)) is not None:
            return facts
        if attempt > ATTEMPTS:
            return failed_shard(shard, f"the worker process of this shard was killed or crashed {ATTEMPTS} times")
        precision = self.classifier.inference_precision or ""
        failures = 0

        def open_part(shard: Shard) -> PartWriter:
            return PartWriter(self._store, shard, self._setup.run, self.classifier.device, precision)

        def on_image(result: Result) -> None:
            nonlocal failures
            if isinstance(result, Failure) and not isinstance(result, NotRun):
                failures += 1
                # The driver adds up the failures of all parts; this ends a part that alone has too many.
                check_errors(failures, self._settings.max_errors, self._store.text, result)

        with closing(
            run_shards(self.classifier, [shard], self._settings, open_part, workers=self._setup.cpus, on_image=on_image)
        ) as ends:
            (ended,) = ends
        again = isinstance(ended, FailedShard) and attempt < ATTEMPTS
        return msgspec.structs.replace(ended, again=True) if again else ended

    def _count(self, place: ShardPlace) -> int:
        import ray

        try:
            attempt: int = ray.get(self._attempts.begin.remote(place.index))
        except ray.exceptions.RayActorError as error:
            raise OvMobilenetError(
                "the process that counts attempts was killed", where=self._node, fix="Run the same command again"
            ) from error
        return attempt

    def _read_shard(self, place: ShardPlace) -> Shard:
        """Read the shard's line. Raises: OutputError, if this node does not reach the output of the run."""
        problem = ""
        try:
            shard = parse_shard(self._store.read(SHARD_LIST, place.offset, place.length))
            if shard.digest == place.digest:
                return shard
        except (OutputError, OSError, ValueError, TypeError) as error:
            problem = f" ({error})"
        raise OutputError(
            f"{SHARD_LIST} of this run cannot be read{problem}", where=f"{self._node}: {self._store.text}",
            fix="Every node must reach the output under the same name: use a shared folder or a bucket",
        )  # fmt: skip

    def _existing(self, shard: Shard) -> PartFacts | None:
        size = self._store.sizes().get(shard.part_name)
        facts = None if size is None else read_part_facts(self._store, shard.part_name, size, self._setup.run)
        return facts if facts is not None and facts.shard == shard.digest else None


def limit_threads(cpus: int) -> None:
    """Limit the thread pools of pyarrow, which otherwise have one thread per CPU of the machine."""
    import pyarrow as pa

    pa.set_cpu_count(cpus)
