"""`Classifier.stream` over files, bytes and frames, some of them broken; some streams are ended early."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import ov_mobilenet as ovm
from soak.material import Material, read_material
from soak.rounds import Counts, Mismatch, Round, Workplace, check_result, count_results

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image
    from ov_mobilenet.runtime.results import Result

Expected = tuple["Image", NDArray[np.float32] | None]
BATCH_SIZES = (None, 1, 2, 4, 8)


def start(place: Workplace) -> Round:
    """Load the model."""
    classifier, material = load(place)
    return lambda rng: stream_once(classifier, material, rng)


def load(place: Workplace) -> tuple[ovm.Classifier, Material]:
    """The model, compiled for each batch size, because a later round would otherwise do it; and its images."""
    material = read_material(place.material)
    classifier = ovm.load_classifier(material.irs[0], device="CPU", inference_precision="f32")
    for batch_size in BATCH_SIZES:
        classifier.compiled(batch_size)
    return classifier, material


def choose_images(material: Material, rng: random.Random, count: int) -> list[Expected]:
    """Images with their answers; about one in ten cannot be read."""
    chosen: list[Expected] = []
    for _ in range(count):
        known = rng.choice(material.images)
        if rng.random() < 0.1:
            chosen.append((rng.choice(material.broken), None))
        else:
            chosen.append((rng.choice((known.path, str(known.path), known.data, known.frame)), known.answer))
    return chosen


def stream_once(classifier: ovm.Classifier, material: Material, rng: random.Random) -> Counts:
    """Stream, and check each result. Raises: Mismatch."""
    expected = choose_images(material, rng, rng.randint(40, 240))
    ends_after = rng.randrange(len(expected)) if rng.random() < 0.3 else None
    raises_at = rng.randrange(len(expected)) if rng.random() < 0.1 else None

    def feed() -> Iterator[Image]:
        for number, (image, _) in enumerate(expected):
            if number == raises_at:
                raise ConnectionError("the share is gone")
            yield image

    as_list = raises_at is None and rng.random() < 0.5
    results = classifier.stream(
        [image for image, _ in expected] if as_list else feed(),
        top_k=rng.choice((1, 3, 16)),
        batch_size=rng.choice(BATCH_SIZES),
        requests=rng.choice((None, None, 1, 3)),
        workers=rng.choice((None, 1, 4)),
    )
    taken: list[Result] = []
    error: ConnectionError | None = None
    try:
        if ends_after != 0:
            for result in results:
                taken.append(result)
                if len(taken) == ends_after:
                    break
    except ConnectionError as raised:
        error = raised
    if ends_after is not None and rng.random() < 0.5:
        results.close()  # type: ignore[attr-defined]  # a `ResultStream`
    del results  # otherwise Python closes it here
    wanted = min(number for number in (len(expected), ends_after, raises_at) if number is not None)
    if len(taken) != wanted:
        raise Mismatch("the number of results of a stream", expected=wanted, got=len(taken))
    if (error is not None) != (raises_at is not None and (ends_after is None or raises_at < ends_after)):
        raise Mismatch(
            "the error of the inputs", expected=f"raised at {raises_at}, unless ended at {ends_after}", got=error
        )
    for number, (result, (image, answer)) in enumerate(zip(taken, expected, strict=False)):
        check_result(result, answer, f"image {number}" if isinstance(image, bytes | np.ndarray) else str(image))
    return count_results(len(taken), taken)
