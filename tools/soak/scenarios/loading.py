"""The classifier is loaded again and again, used in every way, also from asyncio, and dropped."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from pathlib import Path

import ov_mobilenet as ovm
from ov_mobilenet.runtime.results import Result
from soak.material import KnownImage, Material, read_material
from soak.rounds import Counts, Round, Workplace, check_result, count_results, expect_equal


def start(place: Workplace) -> Round:
    """Nothing is loaded before the first round."""
    material = read_material(place.material)
    return lambda rng: load_once(material, place.folder / "model-cache", rng)


def load_once(material: Material, model_cache: Path, rng: random.Random) -> Counts:
    """Load one of the two IRs and use it; it must not stay in memory. Raises: Mismatch."""
    second = rng.random() < 0.5
    classifier = ovm.load_classifier(
        material.irs[second],
        device="CPU",
        inference_precision="f32",
        model_cache=model_cache if rng.random() < 0.3 else "off",
    )
    images = [rng.choice(material.images) for _ in range(rng.randint(8, 40))]
    results: list[Result] = [classifier.classify(image.frame) for image in images[:3]]
    results += classifier.stream([image.data for image in images[3:]], batch_size=rng.choice((None, 1, 4)))
    if rng.random() < 0.3:
        results += asyncio.run(classify_all(classifier, images))
        images = images * 2
    expect_equal("the number of results", expected=len(images), got=len(results))
    for image, result in zip(images, results, strict=True):
        check_result(result, image.answer[::-1] if second else image.answer, result.source)
    dropped = weakref.ref(classifier)
    del classifier
    gc.collect()
    expect_equal("a classifier that nobody holds", expected=None, got=dropped())
    return count_results(len(images), results)


async def classify_all(classifier: ovm.Classifier, images: list[KnownImage]) -> list[ovm.Classification]:
    """Classify images of concurrent tasks."""
    return await asyncio.gather(*(classifier.classify_async(image.path) for image in images))
