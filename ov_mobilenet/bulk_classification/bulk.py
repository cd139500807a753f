"""`bulk` and `plan_bulk`: classify many images into Parquet parts, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.bulk_classification.bulk_progress import BulkResult, OnBulkProgress
from ov_mobilenet.bulk_classification.failed_shards import FailedShard
from ov_mobilenet.bulk_classification.manifest import Manifest
from ov_mobilenet.bulk_classification.model_package import compile_for_bulk, pack_model
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.preparation import PreparedRun, check_packages, prepared
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.run_here import run_here
from ov_mobilenet.bulk_classification.run_loop import RunLoop
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.load import RunOptions
from ov_mobilenet.runtime.results import Failure

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.runtime.profile import Profile


@checked
def bulk(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    settings: BulkSettings | None = None,
    profile: Profile | Path | str | None = None,
    ray: RaySettings | None = None,
    overwrite: bool = False,
    on_progress: OnBulkProgress | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    **options: Unpack[RunOptions],
) -> BulkResult:
    """Classify many images into the Parquet parts of a folder or bucket.

    A run that was interrupted is resumed: the same call does the parts that are missing, and nothing if all are there.
    An image that cannot be read has a row with its `error`. A shard that cannot be read now, as when a connection is
    lost, is begun again after the others, 5 times in all; then its part is missing, see `BulkResult.failed_shards`.

    Args:
        model: a zoo name, the path of a `model.yml` or of an IR `.xml`, or `hf:OWNER/NAME`.
        inputs: images, folders (recursively), wildcards, @LIST.txt, tar shards, Parquet files with images or their
            paths; local, s3:// or gs://. Their order is part of the output.
        output: a folder, or an s3:// or gs:// URL. It gets `part-NNNNN.parquet`, with rows as `classify` writes them,
            `_manifest.json`, and `_SUCCESS` when all parts are there.
        settings: how the inputs are cut into parts, and what is written for each image.
        profile: the profile that `tune` returned, or the path of its file, instead of device settings.
        ray: a Ray cluster to run on; None for this machine.
        overwrite: delete the parts and the manifest of another run in `output` first.
        on_progress: called after each image on this machine, and after each part on a cluster.
        on_failure: called with each image that failed, when its part is written.
        options: fields of `DeviceSettings` (`device`, `inference_precision`, …) and of `Lookup` (`cache_dir`, …).

    Raises:
        UsageError: there are no images; an input is a video, a camera, a stream or stdin; the network is not a
            classifier; or as `load_classifier`.
        OutputError: the output cannot be written; it was made with another model, other settings or other inputs; it
            holds other files; another run is writing to it.
        ImageError: more than `settings.max_errors` images failed, or a folder or list of images cannot be read.
        DeviceError: the model does not run on the device, or the device is lost.
        MissingDependencyError: pyarrow is not installed, or Ray, which `ray` needs.
        OvMobilenetError: the model cannot be loaded, as `load_classifier`; the cluster cannot be reached.
    """
    settings = settings or BulkSettings()
    check_packages(ray)
    with prepared(model, inputs, output, settings, profile, options, dry_run=False, overwrite=overwrite) as run:
        if not run.state.pending:
            return BulkResult(run.state.manifest())
        loop = RunLoop(run.state, settings.max_errors, on_progress, on_failure)
        engine = _here(run, loop) if ray is None else _on_ray(run, ray)
        begun = perf_counter()
        loop.run(engine)
        seconds = perf_counter() - begun
        return BulkResult(run.state.manifest(), tuple(run.state.failed), loop.images_now, seconds)


@checked
def plan_bulk(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    settings: BulkSettings | None = None,
    profile: Profile | Path | str | None = None,
    overwrite: bool = False,
    **options: Unpack[RunOptions],
) -> Manifest:
    """What `bulk` would begin with: the manifest of the parts that are there. Nothing is changed or compiled.

    Args:
        model, inputs, output, settings, profile, overwrite, options: as for `bulk`.

    Raises:
        OvMobilenetError: as `bulk` before it classifies anything.
    """
    settings = settings or BulkSettings()
    check_packages(None)
    with prepared(model, inputs, output, settings, profile, options, dry_run=True, overwrite=overwrite) as run:
        return run.state.manifest()


def _here(run: PreparedRun, loop: RunLoop) -> Iterator[PartFacts | FailedShard]:
    from ov_mobilenet.outputs.parquet_sink import parquet_schema

    parquet_schema()  # a damaged installation of pyarrow is found before the model is compiled
    state, model = run.state, run.model
    classifier = compile_for_bulk(model.runnable, model.settings, model.device, model.profile)
    precision = classifier.inference_precision or ""

    def open_part(shard: Shard) -> PartWriter:
        return PartWriter(state.store, shard, state.identity.settings, classifier.device, precision)

    return run_here(
        classifier, state.pending, state.shards.shard, model.settings, open_part, on_image=loop.on_image
    )  # fmt: skip


def _on_ray(run: PreparedRun, ray: RaySettings) -> Iterator[PartFacts | FailedShard]:
    from ov_mobilenet.bulk_classification.ray_run import run_on_ray

    state, model = run.state, run.model
    package = pack_model(model.runnable, model.settings, model.device, model.profile)
    return run_on_ray(package, state.pending, state.store.text, state.identity.settings, ray)
