"""Scheduler, stream and queue under random failures, delays, numbers of threads, and consumers that stop early."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fake_classifier import classifier, frame, is_right
from fake_device import Behaviour
from numpy.typing import NDArray

from ov_mobilenet.errors import DeviceError, UsageError
from ov_mobilenet.runtime import stream as stream_module
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.results import Classification, Failure, Result

IMAGES = 150


def random_behaviour(rng: random.Random) -> Behaviour:
    durations = [rng.choice([0.0, 0.0, 0.001, 0.004]) for _ in range(1000)]
    failing = rng.choice([0.0, 0.0, 0.05, 0.3])
    return Behaviour(
        real_time=True,
        service_s=lambda number: durations[number % 1000],
        fails={number for number in range(1000) if rng.random() < failing},
        nan={number for number in range(1000) if rng.random() < failing / 2},
        hangs={rng.randrange(40)} if rng.random() < 0.15 else (),
        dies_after=rng.randrange(40) if rng.random() < 0.25 else None,
        dies_at_start=rng.random() < 0.5,
    )


def pause(rng: random.Random, share: float, seconds: float) -> None:
    if rng.random() < share:
        time.sleep(seconds * rng.random())


def check(number: int, result: Result, unreadable: set[int], *, device_fails: bool) -> None:
    """The result belongs to image `number`, and fails only if the image or the device does."""
    assert result.source == f"image {number}"
    if number in unreadable:
        assert isinstance(result, Failure)
    elif isinstance(result, Failure):
        assert device_fails, result.error
    else:
        assert is_right(number, result)


@pytest.mark.parametrize("seed", range(60))
def test_a_stream_returns_each_result_in_order_or_the_error_that_ends_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "DEVICE_TIMEOUT_S", 0.5)
    rng = random.Random(seed)
    behaviour = random_behaviour(rng)
    device_fails = bool(behaviour.fails or behaviour.nan or behaviour.hangs or behaviour.dies_after is not None)
    unreadable = {number for number in range(IMAGES) if rng.random() < rng.choice([0.0, 0.1])}
    raises_at = rng.randrange(IMAGES) if rng.random() < 0.25 else None
    closes_after = rng.randrange(IMAGES) if rng.random() < 0.3 else None
    slow_input, slow_consumer = rng.choice([0.0, 0.1]), rng.choice([0.0, 0.1])
    feeding = random.Random(seed + 1)

    def inputs() -> Iterator[NDArray[np.uint8] | bytes]:
        for number in range(IMAGES):
            if number == raises_at:
                raise ConnectionError("unplugged")
            pause(feeding, slow_input, 0.01)
            yield b"damaged" if number in unreadable else frame(number)

    model = classifier(behaviour)
    threads_before = threading.active_count()
    results = model.stream(
        inputs(),
        workers=rng.randint(1, 8),
        requests=rng.choice([None, 1, 2, 5]),
        batch_size=rng.choice([None, 1, 2, 3, 8]),
        live=rng.choice([None, None, True]),
    )
    taken, error = 0, None
    try:
        for result in results:
            check(taken, result, unreadable, device_fails=device_fails)
            taken += 1
            pause(rng, slow_consumer, 0.01)
            if taken == closes_after:
                break
    except (ConnectionError, DeviceError) as raised:
        error = raised
    results.close()  # type: ignore[attr-defined]  # a generator

    assert threading.active_count() == threads_before
    if isinstance(error, ConnectionError):
        assert taken == raises_at
    elif isinstance(error, DeviceError):
        assert device_fails
    elif taken != closes_after:
        assert taken == IMAGES and raises_at is None
    for batch in (1, 2, 3, 8):  # every request has ended or was cancelled
        if batch in model._by_batch:
            assert model.compiled(batch).model.tally.running == 0


@pytest.mark.parametrize("seed", range(40))
def test_a_queue_returns_one_result_per_submitted_image(seed: int) -> None:
    rng = random.Random(seed)
    behaviour = random_behaviour(rng)
    device_fails = bool(behaviour.fails or behaviour.nan or behaviour.hangs or behaviour.dies_after is not None)
    cancels_after = rng.random() * 0.05 if rng.random() < 0.3 else None
    ordered = rng.random() < 0.5
    queue = InferQueue(
        classifier(behaviour),
        requests=rng.choice([None, 1, 3]),
        batch_size=rng.choice([1, 2, 4]),
        max_wait_ms=rng.choice([0.0, 1.0, 20.0]),
        ordered=ordered,
        capacity=rng.choice([None, 4, 16]),
        timeout_s=0.5,
    )
    submitted: list[int] = []
    taken: list[tuple[object, Result]] = []
    lost: list[DeviceError] = []

    def submit(marks: range, own_rng: random.Random) -> None:
        for mark in marks:
            try:
                queue.submit(frame(mark), mark)
            except (DeviceError, UsageError):
                return
            submitted.append(mark)
            pause(own_rng, 0.05, 0.005)

    def take(own_rng: random.Random) -> None:
        try:
            for item in queue:
                taken.append(item)
                pause(own_rng, 0.05, 0.005)
        except DeviceError as error:
            lost.append(error)

    producers = [
        threading.Thread(target=submit, args=(range(start, start + 40), random.Random(seed + start)))
        for start in range(0, 40 * rng.randint(1, 6), 40)
    ]
    consumers = [threading.Thread(target=take, args=(random.Random(-seed),)) for _ in range(rng.randint(1, 3))]
    for thread in producers + consumers:
        thread.start()
    if cancels_after is not None:
        time.sleep(cancels_after)
        queue.close(cancel=True)
    for thread in producers:
        thread.join()
    queue.close()
    for thread in consumers:
        thread.join()

    keys = [key for key, _ in taken]
    assert sorted(map(str, keys)) == sorted(map(str, submitted))
    assert len(lost) <= 1
    if len(producers) == len(consumers) == 1 and ordered:
        assert keys == submitted
    for key, result in taken:
        if isinstance(result, Classification):
            assert is_right(key, result)
        else:
            assert device_fails or cancels_after is not None, result.error
