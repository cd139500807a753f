"""Run several networks on the same images and count their results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ov_mobilenet.accuracy.compared_networks import ComparedNetwork
from ov_mobilenet.accuracy.dataset import Dataset, LabelledImage
from ov_mobilenet.accuracy.metrics import TOP_K, AccuracyCounter
from ov_mobilenet.accuracy.protocol import OnFailure, OnProgress
from ov_mobilenet.accuracy.speed import read_frame
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import ImageError, OvMobilenetError
from ov_mobilenet.runtime.results import Failure, top_predictions
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ov_mobilenet.images.decode import Frame

    Preparation = tuple[Geometry | None, Library]  # networks with the same geometry and reader share their frames
    Frames = dict[Preparation, Frame]

CHUNK = 32  # images in memory at the same time
SPEED_IMAGES = 32


@dataclass
class Evaluation:
    """A network and the results counted so far.

    Attributes:
        agreeing: number of images with the same top-1 as the reference network.
        max_difference: the largest difference of a probability from the reference network.
        speed: images per second and the median latency in ms; None if not measured.
        error: why the network failed; None if it did not.
    """

    network: ComparedNetwork
    counter: AccuracyCounter = field(default_factory=AccuracyCounter)
    agreeing: int = 0
    max_difference: float = 0.0
    speed: tuple[float, float] | None = None
    error: str | None = None


def evaluate_all(
    evaluations: Sequence[Evaluation],
    reference: Evaluation | None,
    dataset: Dataset,
    on_progress: OnProgress,
    on_failure: OnFailure,
) -> tuple[list[Failure], list[Path]]:
    """Run all networks on all images.

    Args:
        reference: the first network, which the others are compared with; None if it could not be loaded.

    Returns:
        The images that could not be read, and the first `SPEED_IMAGES` that could.
    """
    failures: list[Failure] = []
    readable: list[Path] = []
    done = 0
    preparations = tuple(dict.fromkeys((one.network.geometry, one.network.reader) for one in evaluations))
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for chunk in _chunks(dataset.images):
            truths: list[int] = []
            prepared: list[Frames] = []
            for image, frames in zip(chunk, pool.map(partial(_prepare, preparations), chunk), strict=True):
                if isinstance(frames, ImageError):
                    failures.append(Failure(image.name, str(frames)))
                    on_failure(Failure(str(image.path), str(frames)))
                    continue
                truths.append(image.index)
                prepared.append(frames)
                if len(readable) < SPEED_IMAGES:
                    readable.append(image.path)
            reference_answers = None
            for one in evaluations:  # the reference is the first of them
                answers = _answers(one, prepared, pool)
                if answers is None:
                    continue
                if one is reference:
                    reference_answers = answers
                _count(one, truths, answers, reference, reference_answers)
            done += len(chunk)
            on_progress(done, len(dataset.images))
    return failures, readable


def _chunks(images: Sequence[LabelledImage]) -> Iterator[list[LabelledImage]]:
    iterator = iter(images)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _prepare(preparations: Iterable[Preparation], image: LabelledImage) -> Frames | ImageError:
    """Read an image once for each preparation, or return the error."""
    if isinstance(image.source, ImageError):
        return image.source
    try:
        return {preparation: read_frame(image.path, *preparation) for preparation in preparations}
    except ImageError as error:
        return error


def _answers(one: Evaluation, prepared: Sequence[Frames], pool: ThreadPoolExecutor) -> list[NDArray[np.float32]] | None:
    """Return the network's probabilities; None if it fails or has failed before."""
    if one.error is not None:
        return None
    network = one.network
    frames = [image[network.geometry, network.reader] for image in prepared]
    try:
        return list((pool.map if network.is_thread_safe else map)(network.answer, frames))
    except OvMobilenetError as error:
        one.error = str(error)
        return None


def _count(
    one: Evaluation,
    truths: Sequence[int],
    answers: Sequence[NDArray[np.float32]],
    reference: Evaluation | None,
    reference_answers: Sequence[NDArray[np.float32]] | None,
) -> None:
    classes = one.network.classes
    for place, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
        best = [prediction.class_id for prediction in top_predictions(answer, None, TOP_K)]
        one.counter.add(classes.to_network(truth), best)
        if reference is None or reference_answers is None:
            continue
        expected = reference_answers[place]
        one.agreeing += reference.network.classes.to_dataset(int(expected.argmax())) == classes.to_dataset(best[0])
        if expected.shape == answer.shape:
            # np.maximum keeps a NaN; Python's max would drop it.
            one.max_difference = float(np.maximum(one.max_difference, np.abs(expected - answer).max()))


def measure_speed(evaluations: Sequence[Evaluation], files: list[Path], time_s: float) -> None:
    """Measure the speed of each network that has not failed, `time_s` seconds for each figure."""
    for one in evaluations:
        if one.error is None:
            try:
                one.speed = one.network.measure_speed(files, time_s)
            except OvMobilenetError as error:
                one.error = str(error)
