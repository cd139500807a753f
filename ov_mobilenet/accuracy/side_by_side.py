"""Networks side by side on the same images: accuracy, agreement, size, speed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
from msgspec import Struct

from ov_mobilenet.accuracy.dataset import Dataset, Example, read_dataset, subset
from ov_mobilenet.accuracy.figures import TOP, Interval, Tally, wilson
from ov_mobilenet.accuracy.measure import OnProgress, versions
from ov_mobilenet.accuracy.networks import ComparedEntry, ReadyNetwork, load_network, parse_entry
from ov_mobilenet.accuracy.report import SCHEMA_VERSION, GeometryFrom
from ov_mobilenet.accuracy.speed import frame_of
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import DatasetError, ImageError, OvMobilenetError, UsageError
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.runtime.results import Failure, top_predictions
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ov_mobilenet.images.decode import Frame

    Kind = tuple[Geometry | None, Library]  # what two networks have in common that take the same frames
    Frames = dict[Kind, Frame]

SECONDS = 2.0
CHUNK = 32  # images in memory at a time
SPEED_IMAGES = 32


class Compared(Struct, frozen=True, kw_only=True):
    """One network; figures are None where they were not measured, or `error` says why.

    Attributes:
        runs_in: OpenVINO, or the source network's framework.
        top1, top5: fractions in [0, 1].
        agreement: fraction of images with the same first class as the first network.
        max_difference: the largest difference of a probability from the first network; None where they do not have
            the same number of classes.
        size_mb: of the weights on disk, 10^6 bytes.
        throughput_fps: images per second from memory; through the queue in OpenVINO, elsewhere one after another.
        p50_ms: median latency of one image alone.
    """

    model: str
    runs_in: str | None = None
    device: str | None = None
    inference_precision: str | None = None
    geometry: str | None = None
    geometry_from: GeometryFrom | None = None
    top1: float | None = None
    top5: float | None = None
    top1_interval: Interval | None = None
    top5_interval: Interval | None = None
    agreement: float | None = None
    max_difference: float | None = None
    size_mb: float | None = None
    throughput_fps: float | None = None
    p50_ms: float | None = None
    error: str | None = None


class ModelComparison(Struct, frozen=True, kw_only=True):
    """Networks on the same images, in the order in which they were named.

    Attributes:
        images: images that every figure is of; those that could not be read are `failures`.
    """

    schema_version: int = SCHEMA_VERSION
    dataset: str
    annotations: str | None
    exif_orientation: Literal["ignored"] = "ignored"
    limit: int | None
    seed: int | None
    images: int
    failed: int
    models: tuple[Compared, ...]
    failures: tuple[Failure, ...]
    versions: dict[str, str]


@dataclass
class _Running:
    """A network, and what was counted of it so far."""

    network: ReadyNetwork
    tally: Tally = field(default_factory=Tally)
    same: int = 0
    difference: float = 0.0
    speed: tuple[float, float] | None = None
    error: str | None = None


def compare(
    entries: Sequence[str],
    dataset: str | Path,
    *,
    annotations: str | Path | None = None,
    settings: DeviceSettings = DeviceSettings(),  # noqa: B008 (frozen)
    geometry: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    seconds: float = SECONDS,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    on_failure: Callable[[Failure], None] = lambda failure: None,
) -> ModelComparison:
    """Run networks on the same images, each by its own protocol, and measure how fast they are.

    One that cannot be run has its error in its place; the others are measured. OpenVINO computes in f32 unless an entry
    or the settings say otherwise. EXIF orientation is ignored, pixels are exact, as in `measure_accuracy`.

    Args:
        entries: `MODEL[@f32|bf16|f16|source]` each, see `networks`; agreement is with the first.
        dataset, annotations: as in `measure_accuracy`.
        geometry: crop and resize for all, instead of each one's own.
        limit, seed: as in `measure_accuracy`.
        seconds: how long each figure of speed is measured; 0 leaves them out.
        on_progress: called as images are done, with how many are and of how many.
        on_failure: called for each image that cannot be read.

    Raises:
        UsageError: fewer than two entries, or networks that do not have the same number of classes.
        DatasetError: images or classes cannot be made out, or no image could be read.
        OvMobilenetError: not one network can be run; the first one's error.
    """
    if len(entries) < 2:
        raise UsageError("too few models to compare", expected="two or more", got=len(entries))

    def load(entry: ComparedEntry) -> _Running | OvMobilenetError:
        try:
            found = load_network(
                entry, settings=settings, geometry=geometry, lookup=Lookup(tuple(config_dirs), cache_dir, offline)
            )
        except OvMobilenetError as error:
            return error
        return _Running(found)

    loaded = [load(parse_entry(entry)) for entry in entries]
    running = [found for found in loaded if isinstance(found, _Running)]
    if not running:
        raise next(error for error in loaded if isinstance(error, OvMobilenetError))
    _check_classes([found.network for found in running])
    found = read_dataset(Path(dataset), running[0].network.classes, None if annotations is None else Path(annotations))
    chosen = subset(found, limit, seed)
    judge = loaded[0] if isinstance(loaded[0], _Running) else None
    failures, readable = _run_all(running, judge, chosen, on_progress, on_failure)
    if not readable:
        raise DatasetError("no image could be read", where=found.folder, got=failures[0].error)
    if seconds:
        _measure_speed(running, readable[:SPEED_IMAGES], seconds)
    return ModelComparison(
        dataset=str(found.folder),
        annotations=None if found.annotations is None else str(found.annotations),
        limit=limit,
        seed=None if limit is None else seed,
        images=len(chosen.examples) - len(failures),
        failed=len(failures),
        models=tuple(_compared(text, entry, judge) for text, entry in zip(entries, loaded, strict=True)),
        failures=tuple(failures),
        versions=versions(),
    )


def _check_classes(networks: Sequence[ReadyNetwork]) -> None:
    counts = {network.classes.of_dataset for network in networks}
    if len(counts) > 1:
        raise UsageError(
            "the networks do not have the same number of classes",
            got=", ".join(f"{network.name} {network.classes.of_dataset}" for network in networks),
        )


def _run_all(
    running: Sequence[_Running],
    judge: _Running | None,
    dataset: Dataset,
    on_progress: OnProgress,
    on_failure: Callable[[Failure], None],
) -> tuple[list[Failure], list[Path]]:
    """Count all answers. Returns: images that could not be read, and some that could."""
    failures: list[Failure] = []
    readable: list[Path] = []
    done = 0
    kinds = tuple(dict.fromkeys((one.network.geometry, one.network.reader) for one in running))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for chunk in _chunks(dataset.examples):
            truths: list[int] = []
            images: list[Frames] = []
            for example, frames in zip(chunk, pool.map(partial(_read, kinds), chunk), strict=True):
                if isinstance(frames, ImageError):
                    failures.append(Failure(example.image, str(frames)))
                    on_failure(Failure(str(example.path), str(frames)))
                    continue
                truths.append(example.index)
                images.append(frames)
                if len(readable) < SPEED_IMAGES:
                    readable.append(example.path)
            judged = None
            for one in running:  # the judge is the first of them
                answers = _answers(one, images, pool)
                if answers is None:
                    continue
                judged = answers if one is judge else judged
                _count(one, truths, answers, judge, judged)
            done += len(chunk)
            on_progress(done, len(dataset.examples))
    return failures, readable


def _chunks(examples: Sequence[Example]) -> Iterator[list[Example]]:
    iterator = iter(examples)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _read(kinds: Iterable[Kind], example: Example) -> Frames | ImageError:
    """The image at every size that is needed, or why it cannot be read."""
    try:
        return {kind: frame_of(example.path, *kind) for kind in kinds}
    except ImageError as error:
        return error


def _answers(one: _Running, images: Sequence[Frames], pool: ThreadPoolExecutor) -> list[NDArray[np.float32]] | None:
    """The network's probabilities; None once it has failed."""
    if one.error is not None:
        return None
    network = one.network
    frames = [image[network.geometry, network.reader] for image in images]
    try:
        return list((pool.map if network.in_threads else map)(network.answer, frames))
    except OvMobilenetError as error:
        one.error = str(error)
        return None


def _count(
    one: _Running,
    truths: Sequence[int],
    answers: Sequence[NDArray[np.float32]],
    judge: _Running | None,
    judged: Sequence[NDArray[np.float32]] | None,
) -> None:
    classes = one.network.classes
    for place, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        best = [prediction.class_id for prediction in top_predictions(answer, None, TOP)]
        one.tally.add(classes.to_network(truth), best)
        if judge is None or judged is None:
            continue
        other = judged[place]
        same = judge.network.classes.to_dataset(int(other.argmax())) == classes.to_dataset(best[0])
        one.same += same
        if other.shape == answer.shape:
            one.difference = float(np.maximum(one.difference, np.abs(other - answer).max()))  # max would drop a NaN


def _measure_speed(running: Sequence[_Running], files: list[Path], seconds: float) -> None:
    for one in running:
        if one.error is None:
            try:
                one.speed = one.network.measure_speed(files, seconds)
            except OvMobilenetError as error:
                one.error = str(error)


def _compared(text: str, entry: _Running | OvMobilenetError, judge: _Running | None) -> Compared:
    if isinstance(entry, OvMobilenetError):
        return Compared(model=text, error=str(entry))
    network, tally = entry.network, entry.tally
    known = Compared(
        model=text,
        runs_in=network.runs_in,
        device=network.device,
        inference_precision=network.inference_precision,
        geometry=network.geometry_words,
        geometry_from=network.geometry_from,
        size_mb=network.size_bytes / 1e6,
        error=entry.error,
    )
    if entry.error is not None:
        return known
    is_judged = judge is not None and judge.error is None
    same_classes = judge is not None and judge.network.classes.count == network.classes.count
    return msgspec.structs.replace(
        known,
        top1=tally.top1 / tally.images,
        top5=tally.top5 / tally.images,
        top1_interval=wilson(tally.top1, tally.images),
        top5_interval=wilson(tally.top5, tally.images),
        agreement=entry.same / tally.images if is_judged else None,
        max_difference=entry.difference if is_judged and same_classes else None,
        throughput_fps=entry.speed[0] if entry.speed else None,
        p50_ms=entry.speed[1] if entry.speed else None,
    )
