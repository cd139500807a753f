"""A simulated device that is slow, fails, answers NaN, hangs or is lost, behind a stream, a queue and tasks."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from fake_classifier import classifier, frame, is_right
from fake_device import Behaviour

from ov_mobilenet import Classifier, DeviceError, Failure, InferQueue, IrError
from ov_mobilenet.runtime import async_scheduler, scheduler
from ov_mobilenet.runtime import stream as stream_module
from ov_mobilenet.runtime.results import Classification, Result
from soak.rounds import Counts, Mismatch, Round, Workplace, count_results, expect_equal
from soak.scenarios.queues import run_traffic

IMAGES, PRODUCERS = 200, 4
TIMEOUT_S = 0.3
BATCH_SIZES = (1, 2, 3, 8)
UNREADABLE = b"damaged"


def start(place: Workplace) -> Round:
    """A device that hangs is given up after a fraction of a second, and its requests are deleted."""
    stream_module.DEVICE_TIMEOUT_S = TIMEOUT_S
    # A request that runs on a lost device is never deleted, since that may wait for ever. Simulated ones can be;
    # otherwise every lost device would count as growth. Both modules import the name.
    scheduler.leak = delete  # type: ignore[attr-defined]
    async_scheduler.leak = delete  # type: ignore[attr-defined]

    def run(rng: random.Random) -> Counts:
        counts = stream_once(rng) + queue_once(rng)
        return counts + tasks_once(rng) if rng.random() < 0.2 else counts  # whose threads end after a second

    return run


def delete(request: object) -> None:
    """In place of `in_flight.leak`: nothing holds the request any more."""


def random_behaviour(rng: random.Random) -> Behaviour:
    """How the device behaves in one half of a round; one in three is without faults."""
    durations = [rng.choice((0.0, 0.0, 0.0005, 0.002)) for _ in range(1000)]
    failing = rng.choice((0.0, 0.0, 0.02, 0.2))
    return Behaviour(
        real_time=True,
        service_s=lambda number: durations[number % 1000],
        fails={number for number in range(1000) if rng.random() < failing},
        nan={number for number in range(1000) if rng.random() < failing / 2},
        hangs={rng.randrange(60)} if rng.random() < 0.1 else (),
        dies_after=rng.randrange(100) if rng.random() < 0.25 else None,
        dies_at_start=rng.random() < 0.5,
    )


def can_fail(behaviour: Behaviour) -> bool:
    """Whether any image may have a failure because of the device."""
    return bool(behaviour.fails or behaviour.nan or behaviour.hangs or behaviour.dies_after is not None)


def stream_once(rng: random.Random) -> Counts:
    """One stream: a result for each image that was read, in order, and then the error of a lost device."""
    behaviour = random_behaviour(rng)
    unreadable = {number for number in range(IMAGES) if rng.random() < 0.05}
    ends_after = rng.randrange(1, IMAGES) if rng.random() < 0.2 else None
    model, read = classifier(behaviour), 0

    def feed() -> Iterator[object]:
        nonlocal read
        for number in range(IMAGES):
            read += 1
            yield UNREADABLE if number in unreadable else frame(number)

    results = model.stream(
        feed(),  # type: ignore[arg-type]  # frames and bytes
        workers=rng.randint(1, 8),
        requests=rng.choice((None, 1, 2, 5)),
        batch_size=rng.choice((None, *BATCH_SIZES)),
        live=rng.choice((None, None, True)),
    )
    taken: list[Result] = []
    lost = False
    try:
        for result in results:
            taken.append(result)
            if len(taken) == ends_after:
                break
    except DeviceError:
        lost = True
    results.close()  # type: ignore[attr-defined]  # a `ResultStream`
    if len(taken) != ends_after:
        expect_equal("the number of results of a stream", expected=read, got=len(taken))
    if lost and not can_fail(behaviour):
        raise Mismatch("the device", expected="no error", got="lost")
    for number, result in enumerate(taken):
        expect_equal("the source of a result", expected=f"image {number}", got=result.source)
        _check(number, result, readable=number not in unreadable, may_fail=can_fail(behaviour))
    _check_requests_ended(model)
    return count_results(len(taken), taken)


def queue_once(rng: random.Random) -> Counts:
    """One queue: a result for each submitted image, and the lost device raised once."""
    behaviour = random_behaviour(rng)
    model = classifier(behaviour)
    queue = InferQueue[int](
        model,
        requests=rng.choice((None, 1, 3)),
        batch_size=rng.choice(BATCH_SIZES),
        max_wait_ms=rng.choice((0.0, 1.0, 10.0)),
        ordered=rng.random() < 0.5,
        capacity=rng.choice((None, 8, 32)),
        timeout_s=TIMEOUT_S,
    )
    submitted: list[int] = []
    taken: list[tuple[int, Result]] = []
    lost: list[DeviceError] = []
    pauses = [rng.random() * 0.002 if rng.random() < 0.05 else 0.0 for _ in range(IMAGES)]

    def submit(marks: range) -> None:
        for mark in marks:
            try:
                queue.submit(frame(mark), mark)
            except DeviceError:
                return
            submitted.append(mark)
            if pauses[mark]:
                time.sleep(pauses[mark])

    def take() -> None:
        try:
            taken.extend(queue)
        except DeviceError as error:
            lost.append(error)

    share = IMAGES // PRODUCERS
    producing = [threading.Thread(target=submit, args=(range(n * share, (n + 1) * share),)) for n in range(PRODUCERS)]
    consuming = [threading.Thread(target=take) for _ in range(rng.randint(1, 3))]
    run_traffic(queue, producing, consuming)
    keys = sorted(key for key, _ in taken)
    expect_equal("the keys of the results", expected=sorted(submitted), got=keys)
    if len(lost) > 1 or (lost and not can_fail(behaviour)) or (len(submitted) < IMAGES and not lost):
        raise Mismatch(
            "the errors of a lost device",
            expected=f"one if it was lost; {len(submitted)} of {IMAGES} images were accepted",
            got=f"{len(lost)}: {lost}",
        )
    for key, result in taken:
        _check(key, result, readable=True, may_fail=can_fail(behaviour))
    _check_requests_ended(model)
    return count_results(len(submitted), [result for _, result in taken])


def tasks_once(rng: random.Random) -> Counts:
    """Concurrent tasks of `classify_async`: each gets its class, or an error of the device. Raises: Mismatch."""
    behaviour = replace(random_behaviour(rng), hangs=())  # `classify_async` waits a minute for a device
    model = classifier(behaviour)
    found = asyncio.run(_classify_all(model))
    errors = [answer for answer in found if isinstance(answer, BaseException)]
    for error in errors:
        if not (isinstance(error, DeviceError | IrError) and can_fail(behaviour)):
            raise error
    for number, answer in enumerate(found):
        if isinstance(answer, Classification):
            _check(number, answer, readable=True, may_fail=False)
    return Counts(IMAGES, IMAGES - len(errors), len(errors))


async def _classify_all(model: Classifier) -> list[Classification | BaseException]:
    tasks = (model.classify_async(frame(number)) for number in range(IMAGES))
    return await asyncio.gather(*tasks, return_exceptions=True)


def _check(number: int, result: Result, *, readable: bool, may_fail: bool) -> None:
    if isinstance(result, Classification):
        if not readable or not is_right(number, result):
            raise Mismatch(f"the result of image {number}", expected=f"class {number % 8}" if readable else "a failure",
                           got=result.predictions)  # fmt: skip
    elif isinstance(result, Failure) and readable and not may_fail:
        raise Mismatch(f"the result of image {number}", expected=f"class {number % 8}", got=result.error)


def _check_requests_ended(model: Classifier) -> None:
    for batch_size in BATCH_SIZES:
        if batch_size in model._by_batch:
            running = model.compiled(batch_size).model.tally.running
            expect_equal(f"requests of batch size {batch_size} that still run", expected=0, got=running)
