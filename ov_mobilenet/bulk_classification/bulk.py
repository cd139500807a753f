"""`bulk` and `plan_bulk`: classify many images into Parquet parts, on this machine or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.bulk_classification.found_inputs import find_shards
from ov_mobilenet.bulk_classification.manifest import Manifest
from ov_mobilenet.bulk_classification.model_package import ModelPackage, load_for_bulk
from ov_mobilenet.bulk_classification.output_state import BulkIdentity, OutputState, open_output
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.run_here import run_shards
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_list import ShardList
from ov_mobilenet.load import RunOptions, split_options
from ov_mobilenet.resolve import open_model
from ov_mobilenet.runtime.results import Failure, Result
from ov_mobilenet.runtime.runnable import make_runnable

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.runtime.profile import Profile


@dataclass(frozen=True)
class BulkProgress:
    """How far a run is.

    Attributes:
        parts, images, errors: done in all runs together; `parts` counts whole parts.
        total_parts: number of parts of the output.
        total_images: None if it is not known before all images are read.
        images_now: images done in this run.
    """

    parts: int
    total_parts: int
    images: int
    total_images: int | None
    images_now: int
    errors: int


OnBulkProgress = Callable[[BulkProgress], None]


@checked
def bulk(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    settings: BulkSettings | None = None,
    profile: Profile | Path | str | None = None,
    ray: RaySettings | None = None,
    on_progress: OnBulkProgress | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    **options: Unpack[RunOptions],
) -> Manifest:
    """Classify many images into the Parquet parts of a folder or bucket. A run that was interrupted is resumed."""
    settings = settings or BulkSettings()
    with _prepared(model, inputs, output, settings, profile, options, dry_run=False) as run:
        state, now = run.state, 0
        before = list(state.done.values())
        images, errors = sum(part.images for part in before), sum(part.errors for part in before)

        def on_image(result: Result) -> None:
            nonlocal now, errors
            now += 1
            errors += isinstance(result, Failure)
            if on_failure is not None and isinstance(result, Failure):
                on_failure(result)
            report()

        def report() -> None:
            if on_progress is not None:
                on_progress(
                    BulkProgress(
                        len(state.done), len(state.shards.places), images + now, state.shards.images, now, errors
                    )
                )

        if state.pending:
            classifier = load_for_bulk(run.xml, settings, run.device, run.profile)
            precision = classifier.inference_precision or ""
            shards = (state.shards.shard(place) for place in state.pending)
            try:
                for ended in run_shards(
                    classifier, shards, settings,
                    lambda shard: PartWriter(
                        state.store, shard, state.identity.settings, classifier.device, precision
                    ),
                    on_image=on_image,
                ):  # fmt: skip
                    if isinstance(ended, PartFacts):
                        state.add(ended)
                        report()
            finally:
                state.save()
        return state.manifest()


@checked
def plan_bulk(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    settings: BulkSettings | None = None,
    profile: Profile | Path | str | None = None,
    **options: Unpack[RunOptions],
) -> Manifest:
    """What `bulk` would do, without doing it: the manifest of the parts that are there."""
    settings = settings or BulkSettings()
    with _prepared(model, inputs, output, settings, profile, options, dry_run=True) as run:
        return run.state.manifest()


@dataclass(frozen=True)
class _PreparedRun:
    state: OutputState
    xml: Path
    package: Callable[[], ModelPackage]
    device: DeviceSettings
    profile: Profile | None


@contextmanager
def _prepared(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    settings: BulkSettings,
    profile: Profile | Path | str | None,
    options: RunOptions,
    *,
    dry_run: bool,
) -> Iterator[_PreparedRun]:
    from ov_mobilenet.runtime.profile import load_profile

    device, lookup = split_options(None, options)
    chosen = load_profile(profile) if isinstance(profile, str | Path) else profile
    texts = tuple(str(text) for text in ([inputs] if isinstance(inputs, str | Path) else inputs))
    ir = open_model(model, lookup)
    runnable = make_runnable(ir, geometry=settings.geometry, labels=settings.labels, output_kind=settings.output_kind)
    identity = runnable.identity()
    shards = ShardList(find_shards(texts, settings))
    wanted = BulkIdentity(str(model), identity.digest, {"top-k": str(settings.classes)}, texts)
    with open_output(str(output), wanted, shards, dry_run=dry_run) as state:
        yield _PreparedRun(
            state,
            ir.xml,
            lambda: ModelPackage(
                ir.xml.stem, ir.xml.read_bytes(), ir.xml.with_suffix(".bin").read_bytes(), settings, device, chosen
            ),
            device,
            chosen,
        )
