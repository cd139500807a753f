"""`InferQueue` fed from 16 threads, with the results taken by several."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import ov_mobilenet as ovm
from ov_mobilenet import Failure, UsageError
from ov_mobilenet.runtime.results import NotRun, Result
from soak.material import Material
from soak.rounds import Counts, Mismatch, Round, Workplace, check_result, count_results, expect_equal
from soak.scenarios.streams import BATCH_SIZES, Expected, choose_images, load

PRODUCERS = 16

Key = tuple[int, int]


def start(place: Workplace) -> Round:
    """Load the model."""
    classifier, material = load(place)
    return lambda rng: queue_once(classifier, material, rng)


@dataclass
class _Traffic:
    """What the threads of one round have done; each appends to lists, which is atomic."""

    queue: ovm.InferQueue[Key]
    submitted: list[Key] = field(default_factory=list)
    taken: list[tuple[Key, Result]] = field(default_factory=list)
    unexpected: list[BaseException] = field(default_factory=list)
    cancel_after: int | None = None

    def submit(self, producer: int, images: list[Expected]) -> None:
        """Submit all; frames are overwritten as soon as `submit` returns, which is allowed."""
        try:
            for number, (image, _) in enumerate(images):
                passed = image.copy() if isinstance(image, np.ndarray) else image
                self.queue.submit(passed, (producer, number))
                self.submitted.append((producer, number))
                if isinstance(passed, np.ndarray):
                    passed[:] = 0
        except UsageError as error:  # closed by the thread that cancels
            if self.cancel_after is None:
                self.unexpected.append(error)
        except BaseException as error:  # noqa: BLE001 (reported by the round)
            self.unexpected.append(error)

    def take(self) -> None:
        """Take results until the queue ends."""
        try:
            for key, result in self.queue:
                self.taken.append((key, result))
                if self.cancel_after is not None and len(self.taken) >= self.cancel_after:
                    self.queue.close(cancel=True)
        except BaseException as error:  # noqa: BLE001 (reported by the round)
            self.unexpected.append(error)


def queue_once(classifier: ovm.Classifier, material: Material, rng: random.Random) -> Counts:
    """Submit and take, and check that each key came once, with its answer. Raises: Mismatch."""
    images = [choose_images(material, rng, rng.randint(4, 16)) for _ in range(PRODUCERS)]
    ordered, consumers = rng.random() < 0.5, rng.randint(1, 4)
    queue = ovm.InferQueue[Key](
        classifier,
        requests=rng.choice((None, 1, 3)),
        batch_size=rng.choice(BATCH_SIZES),
        max_wait_ms=rng.choice((0.0, 1.0, 10.0)),
        capacity=rng.choice((None, 16, 64)),
        ordered=ordered,
        top_k=rng.choice((1, 5)),
    )
    traffic = _Traffic(queue, cancel_after=rng.randint(1, 100) if rng.random() < 0.2 else None)
    producing = [threading.Thread(target=traffic.submit, args=pair) for pair in enumerate(images)]
    consuming = [threading.Thread(target=traffic.take) for _ in range(consumers)]
    run_traffic(queue, producing, consuming)
    _check(traffic, images, in_order=ordered and consumers == 1)
    return count_results(len(traffic.submitted), [result for _, result in traffic.taken])


def run_traffic(
    queue: ovm.InferQueue[Any], producing: list[threading.Thread], consuming: list[threading.Thread]
) -> None:
    """Run these threads to their end; the queue is closed when all images are submitted."""
    for thread in producing + consuming:
        thread.start()
    for thread in producing:
        thread.join()
    queue.close()
    for thread in consuming:
        thread.join()


def _check(traffic: _Traffic, images: list[list[Expected]], *, in_order: bool) -> None:
    if traffic.unexpected:
        raise traffic.unexpected[0]
    keys, cancelled = [key for key, _ in traffic.taken], traffic.cancel_after is not None
    if not cancelled:
        expect_equal("the number of submitted images", expected=sum(map(len, images)), got=len(traffic.submitted))
    counted, submitted = Counter(keys), Counter(traffic.submitted)
    if counted != submitted:
        different = {key: counted[key] for key in counted | submitted if counted[key] != submitted[key]}
        raise Mismatch("results by key", expected="each submitted key once", got=f"times by key: {different}")
    if in_order:
        for producer in range(PRODUCERS):
            own = [key for key in keys if key[0] == producer]
            expect_equal("the order of a producer's results", expected=sorted(own), got=own)
    for key, result in traffic.taken:
        image, answer = images[key[0]][key[1]]
        if cancelled and isinstance(result, Failure) and isinstance(result, NotRun):
            continue
        check_result(result, answer, str(key) if isinstance(image, bytes | np.ndarray) else str(image))
