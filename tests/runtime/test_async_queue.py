"""`AsyncQueue` and `classify_async`: every call is answered once, and what nobody waits for does not run."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_classifier import CLASSES, classifier, frame
from fake_device import Behaviour
from fake_requests import marked
from numpy.typing import NDArray

import ov_mobilenet as ovm
from ov_mobilenet.errors import DeadlineError, DeviceError, ImageError, IrError, QueueFullError, UsageError
from ov_mobilenet.runtime import async_queue, scheduler
from ov_mobilenet.runtime.async_queue import AsyncQueue, InferredImage
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.items import Item, Prepared

SIGNS = "mobilenet-v1-0.25-128-signs"
PATIENCE_S = 30.0


def best(inferred: InferredImage) -> int:
    return int(inferred.values.argmax())


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until the condition holds."""
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.001)


class Device:
    """A simulated device that holds its requests while `gate` is not set, and records the marks of each batch."""

    def __init__(self, **behaviour: Any) -> None:
        self.gate = threading.Event()
        self.ran: list[list[int]] = []
        self.behaviour = replace(Behaviour(gate=self.gate, answer=self._answer), **behaviour)

    def _answer(self, frames: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
        self.ran.append(frames[:, 0, 0, 0].tolist())
        return marked(frames, classes)


class Decoder:
    """Holds the decoding threads while `gate` is not set, and records the marks of the frames that are decoded."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = threading.Event()
        self.begun: list[int] = []
        self._prepare = model.prepare
        monkeypatch.setattr(model, "prepare", self._wait_and_prepare)

    def _wait_and_prepare(self, item: Item) -> Prepared:
        assert isinstance(item.image, np.ndarray)
        self.begun.append(int(item.image[0, 0, 0]))
        assert self.gate.wait(PATIENCE_S)
        prepared: Prepared = self._prepare(item)
        return prepared


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ov-mobilenet")]


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test that must leave no task, no thread and no unhandled error in the event loop."""
    problems: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        await asyncio.wait_for(test(), PATIENCE_S)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    gc.collect()
    assert problems == []
    assert threads() == []


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("has_input_size", [True, False])
def test_every_call_gets_the_answer_for_its_own_image(batch: int, has_input_size: bool) -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier(stream_batch=4), batch_size=batch, max_wait_ms=1)
        calls = (queue.infer(frame(mark), has_input_size=has_input_size) for mark in range(200))
        answers = await asyncio.gather(*calls)
        assert [best(answer) for answer in answers] == [mark % CLASSES for mark in range(200)]
        assert queue.pending == 0
        await queue.close()

    run(test)


def test_a_call_does_not_wait_for_earlier_ones_that_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        model = classifier()
        queue = AsyncQueue(model)
        decoder = Decoder(model, monkeypatch)
        slow = asyncio.create_task(queue.infer(frame(1)))
        await until(lambda: decoder.begun == [1])
        assert best(await queue.infer(frame(2), has_input_size=True)) == 2
        assert not slow.done()
        decoder.gate.set()
        assert best(await slow) == 1
        await queue.close()

    run(test)


def test_images_that_arrive_while_all_requests_run_share_full_batches_and_the_rest_run_alone() -> None:
    async def test() -> None:
        device = Device()
        queue = AsyncQueue(classifier(device.behaviour, stream_batch=4), requests=1)
        assert queue.batch_size == 4
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=True)) for mark in range(11)]
        await until(lambda: queue.pending == 11)
        device.gate.set()
        answers = await asyncio.gather(*calls)
        assert device.ran == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9], [10]]
        assert [answer.batch for answer in answers] == [1, 4, 4, 4, 4, 4, 4, 4, 4, 1, 1]
        await queue.close()

    run(test)


def test_a_single_image_is_answered_before_a_batch_that_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "WAIT_SLICE_MS", 60_000)

    async def test() -> None:
        hanging: set[int] = set()
        model = classifier(Behaviour(hangs=hanging, service_s=0.01), stream_batch=4)
        queue = AsyncQueue(model, requests=2, max_wait_ms=60_000.0)
        await queue.infer(frame(0))
        hanging.add(0)  # the first batch
        decoder = Decoder(model, monkeypatch)
        single = asyncio.create_task(queue.infer(frame(1)))
        await until(lambda: decoder.begun == [1])
        batch = [asyncio.create_task(queue.infer(frame(mark), has_input_size=True)) for mark in range(2, 6)]
        await until(lambda: queue.pending == 5)
        decoder.gate.set()
        assert best(await single) == 1
        assert not any(call.done() for call in batch)
        hanging.clear()
        assert [best(await call) for call in batch] == [2, 3, 4, 5]
        await queue.close()

    run(test)


def test_an_incomplete_batch_runs_as_it_is_where_a_single_image_has_no_model_of_its_own() -> None:
    async def test() -> None:
        device = Device()
        queue = AsyncQueue(classifier(device.behaviour, batch=4), requests=1)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=True)) for mark in range(1, 7)]
        await until(lambda: queue.pending == 6)
        device.gate.set()
        answers = await asyncio.gather(*calls)
        assert [answer.batch for answer in answers] == [1, 4, 4, 4, 4, 1]
        assert [best(answer) for answer in answers] == [1, 2, 3, 4, 5, 6]
        await queue.close()

    run(test)


@pytest.mark.parametrize("max_wait_ms", [60_000.0, 0.0])
def test_an_image_waits_only_for_images_that_are_being_decoded(
    max_wait_ms: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        device = Device()
        device.gate.set()
        model = classifier(device.behaviour, stream_batch=3)
        queue = AsyncQueue(model, max_wait_ms=max_wait_ms, decode_workers=2)
        assert best(await queue.infer(frame(7), has_input_size=True)) == 7  # nothing is being decoded
        decoder = Decoder(model, monkeypatch)
        slow = [asyncio.create_task(queue.infer(frame(mark))) for mark in (1, 2)]
        await until(lambda: sorted(decoder.begun) == [1, 2])
        quick = asyncio.create_task(queue.infer(frame(3), has_input_size=True))
        if max_wait_ms == 0.0:
            assert best(await quick) == 3
        else:
            await asyncio.sleep(0)
            assert device.ran == [[7]]
        decoder.gate.set()
        answers = await asyncio.gather(*slow, quick)
        assert [best(answer) for answer in answers] == [1, 2, 3]
        assert [answer.batch for answer in answers] == ([1, 1, 1] if max_wait_ms == 0.0 else [3, 3, 3])
        await queue.close()

    run(test)


@pytest.mark.parametrize("ends", ["unreadable", "cancelled"])
def test_no_image_waits_for_one_that_will_not_come(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        model = classifier(stream_batch=4)
        queue = AsyncQueue(model, max_wait_ms=60_000.0)
        decoder = Decoder(model, monkeypatch)
        bad = asyncio.create_task(queue.infer(np.zeros((3, 3, 3), np.float32)))
        await until(lambda: len(decoder.begun) == 1)
        quick = asyncio.create_task(queue.infer(frame(3), has_input_size=True))
        await asyncio.sleep(0)
        if ends == "cancelled":
            bad.cancel()
        else:
            decoder.gate.set()
        with pytest.raises(asyncio.CancelledError if ends == "cancelled" else ImageError):
            await bad
        assert best(await quick) == 3
        decoder.gate.set()
        await queue.close()

    run(test)


def test_an_image_is_not_decoded_after_its_task_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        device = Device()
        device.gate.set()
        model = classifier(device.behaviour)
        queue = AsyncQueue(model, decode_workers=1)
        decoder = Decoder(model, monkeypatch)
        first = asyncio.create_task(queue.infer(frame(0)))
        await until(lambda: decoder.begun == [0])
        pixels = frame(1)
        second, third = asyncio.create_task(queue.infer(pixels)), asyncio.create_task(queue.infer(frame(2)))
        await until(lambda: queue.pending == 3)
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        assert queue.pending == 2
        del second
        is_freed = weakref.ref(pixels)
        del pixels
        assert is_freed() is None  # the queue keeps no frame that it will not need
        decoder.gate.set()
        assert [best(await call) for call in (first, third)] == [0, 2]
        assert decoder.begun == [0, 2]
        await queue.close()

    run(test)


@pytest.mark.parametrize("ends", ["cancelled", "deadline"])
def test_an_image_that_waits_for_the_device_does_not_run_after_it_was_given_up(ends: str) -> None:
    async def test() -> None:
        device = Device()
        queue = AsyncQueue(classifier(device.behaviour), requests=1)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=True)) for mark in range(2)]
        await until(lambda: queue.pending == 2)
        timeout_s = 0.01 if ends == "deadline" else 60.0
        given_up = asyncio.create_task(queue.infer(frame(2), has_input_size=True, timeout_s=timeout_s))
        calls.append(asyncio.create_task(queue.infer(frame(3), has_input_size=True)))
        await until(lambda: queue.pending >= 3)
        if ends == "cancelled":
            given_up.cancel()
        with pytest.raises(DeadlineError if ends == "deadline" else asyncio.CancelledError):
            await given_up
        assert queue.pending == 3
        device.gate.set()
        assert [best(await call) for call in calls] == [0, 1, 3]
        assert device.ran == [[0], [1], [3]]
        await queue.close()

    run(test)


def test_an_image_that_runs_when_it_is_given_up_is_finished_and_dropped() -> None:
    async def test() -> None:
        device = Device()
        queue = AsyncQueue(classifier(device.behaviour), requests=1)
        call = asyncio.create_task(queue.infer(frame(1), has_input_size=True))
        await until(lambda: queue.pending == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert queue.pending == 0
        following = asyncio.create_task(queue.infer(frame(2), has_input_size=True))
        await until(lambda: queue.pending == 1)
        device.gate.set()
        assert best(await following) == 2
        assert device.ran == [[1], [2]]
        await queue.close()

    run(test)


@pytest.mark.parametrize("has_input_size", [True, False])
def test_a_deadline_that_is_over_is_an_error_before_any_work(
    has_input_size: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        device = Device()
        model = classifier(device.behaviour)
        decoder = Decoder(model, monkeypatch)
        queue = AsyncQueue(model)
        for timeout_s in (0.0, -1.0):
            with pytest.raises(DeadlineError, match=r"the image was not classified in time: expected within"):
                await queue.infer(frame(1), has_input_size=has_input_size, timeout_s=timeout_s)
        assert (decoder.begun, device.ran) == ([], [])
        await queue.close()

    run(test)


def test_a_full_queue_refuses_at_once_and_accepts_again_when_there_is_room() -> None:
    async def test() -> None:
        device = Device()
        queue = AsyncQueue(classifier(device.behaviour), max_queue=5, requests=1)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=mark % 2 == 0)) for mark in range(5)]
        await until(lambda: queue.pending == 5)
        for _ in range(3):
            with pytest.raises(QueueFullError, match="too many images are waiting: expected at most 5"):
                await queue.infer(frame(5))
        assert queue.pending == 5
        calls[4].cancel()
        await until(lambda: queue.pending == 4)
        calls[4] = asyncio.create_task(queue.infer(frame(6)))
        device.gate.set()
        assert [best(await call) for call in calls] == [0, 1, 2, 3, 6]
        await queue.close()

    run(test)


def test_decoded_images_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory: a thousand accepted paths must not become a thousand frames while the device is slow."""

    async def test() -> None:
        device = Device()
        model = classifier(device.behaviour)
        decoder = Decoder(model, monkeypatch)
        decoder.gate.set()
        queue = AsyncQueue(model, requests=1, decode_workers=2)
        calls = [asyncio.create_task(queue.infer(frame(mark))) for mark in range(100)]
        await until(lambda: queue.pending == 100)
        await until(lambda: len(decoder.begun) >= 6)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert len(decoder.begun) <= 6  # two for the request, two that are collected, and one in each thread
        device.gate.set()
        assert [best(await call) for call in calls] == [mark % CLASSES for mark in range(100)]
        await queue.close()

    run(test)


@pytest.mark.parametrize("at_start", [True, False])
def test_a_lost_device_fails_every_image_that_waits_and_every_later_one(at_start: bool) -> None:
    async def test() -> None:
        device = Device(dies_after=2, dies_at_start=at_start)
        queue = AsyncQueue(classifier(device.behaviour), requests=1)
        assert queue.lost is None
        device.gate.set()
        for mark in range(2):
            assert best(await queue.infer(frame(mark))) == mark
        device.gate.clear()
        calls = [asyncio.create_task(queue.infer(frame(mark))) for mark in range(20)]
        await until(lambda: queue.pending == 20 or queue.lost is not None)
        device.gate.set()
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {DeviceError}
        assert isinstance(queue.lost, DeviceError)
        with pytest.raises(DeviceError, match="device CPU stopped working"):
            await queue.infer(frame(1))
        await until(lambda: threads() == [])  # without `close`
        await queue.close()

    run(test)


def test_a_device_that_hangs_counts_as_lost() -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier(Behaviour(hangs=range(99))), device_timeout_s=0.3)
        calls = [queue.infer(frame(mark), has_input_size=mark % 2 == 0) for mark in range(30)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {DeviceError}
        assert str(errors[0]).startswith("device CPU stopped working (no answer within 0.3 s)")
        assert queue.pending == 0
        await until(lambda: threads() == [])

    run(test)


def test_a_single_failed_request_and_nan_are_errors_of_their_images_only() -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier(Behaviour(fails={1}, nan={2})), requests=1)
        answers = []
        for mark in range(4):
            answers.append((await asyncio.gather(queue.infer(frame(mark)), return_exceptions=True))[0])
        assert [type(answer) for answer in answers] == [InferredImage, DeviceError, IrError, InferredImage]
        assert "this request failed" in str(answers[1])
        assert queue.lost is None
        await queue.close()

    run(test)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (frame(1).astype(np.float32), "the values look scaled"),
        (np.zeros((5, 4, 3), np.uint8), "does not have the network's input size: expected 4x4, got 5x4"),
        ("no-such-file.png", "not a frame"),
        (b"abc", "not a frame"),
    ],
)
def test_what_is_not_a_frame_of_the_input_size_is_refused(image: Any, message: str) -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier())
        with pytest.raises(ImageError, match=message):
            await queue.infer(image, has_input_size=True)
        assert queue.pending == 0
        await queue.close()

    run(test)


def test_a_view_of_read_only_memory_is_a_frame() -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier())
        pixels = np.frombuffer(frame(5).tobytes(), np.uint8).reshape(4, 4, 3)
        assert best(await queue.infer(pixels, has_input_size=True)) == 5
        assert best(await queue.infer(pixels[:, ::-1], has_input_size=True)) == 0  # strides are not contiguous
        await queue.close()

    run(test)


def test_close_finishes_what_was_accepted_and_refuses_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        device = Device()
        model = classifier(device.behaviour)
        decoder = Decoder(model, monkeypatch)
        queue = AsyncQueue(model, requests=1)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=mark < 3)) for mark in range(6)]
        await until(lambda: queue.pending == 6)
        closing = [asyncio.create_task(queue.close()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="the queue is closed"):
            await queue.infer(frame(1))
        assert not any(task.done() for task in closing)
        decoder.gate.set()
        device.gate.set()
        await asyncio.gather(*closing)
        assert threads() == []
        assert [best(call.result()) for call in calls] == list(range(6))
        await queue.close(cancel=True)
        await queue.close()

    run(test)


def test_close_with_cancel_fails_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        device = Device()
        model = classifier(device.behaviour)
        decoder = Decoder(model, monkeypatch)
        queue = AsyncQueue(model, requests=1, decode_workers=1)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=mark < 3)) for mark in range(6)]
        await until(lambda: queue.pending == 6 and decoder.begun == [3])
        closing = asyncio.create_task(queue.close(cancel=True))
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [str(error).partition(":")[0].partition(".")[0] for error in errors] == [
            "the queue was closed before the image was classified"
        ] * 6
        decoder.gate.set()
        device.gate.set()  # a request that runs is finished
        await closing
        assert decoder.begun == [3]
        assert device.ran == [[0]]

    run(test)


def test_close_with_cancel_does_not_wait_long_for_a_device_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_queue, "JOIN_TIMEOUT_S", 0.1)

    async def test() -> None:
        queue = AsyncQueue(classifier(Behaviour(hangs=range(99))), device_timeout_s=2 * PATIENCE_S)
        calls = [asyncio.create_task(queue.infer(frame(mark), has_input_size=True)) for mark in range(5)]
        await until(lambda: queue.pending == 5)
        await queue.close(cancel=True)
        assert {type(call.exception()) for call in calls} == {UsageError}
        assert threads() == []

    run(test)


def test_one_queue_serves_two_event_loops() -> None:
    queue = AsyncQueue(classifier(stream_batch=4), max_queue=1000)
    answers: dict[int, list[int]] = {}

    def serve(offset: int) -> None:
        async def main() -> None:
            got = await asyncio.gather(*(queue.infer(frame(mark + offset)) for mark in range(150)))
            answers[offset] = [best(answer) for answer in got]

        asyncio.run(main())

    workers = [threading.Thread(target=serve, args=(offset,)) for offset in (0, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert answers == {offset: [(mark + offset) % CLASSES for mark in range(150)] for offset in (0, 3)}
    run(queue.close)


def test_an_event_loop_that_ends_leaves_nothing_behind() -> None:
    device = Device()
    queue = AsyncQueue(classifier(device.behaviour), requests=1, max_queue=4)

    async def abandon() -> None:
        for mark in range(4):
            asyncio.ensure_future(queue.infer(frame(mark), has_input_size=mark % 2 == 0))  # noqa: RUF006
        await until(lambda: queue.pending == 4)

    asyncio.run(abandon())  # cancels the tasks
    assert queue.pending == 0
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending"
    loop.run_until_complete(abandon())
    loop.close()  # without cancelling the tasks
    device.gate.set()

    async def test() -> None:
        await until(lambda: queue.pending == 0)
        assert best(await queue.infer(frame(5))) == 5
        await queue.close()

    run(test)


def test_the_threads_end_without_images_and_start_again() -> None:
    async def test() -> None:
        queue = AsyncQueue(classifier())
        for mark in (1, 2):
            assert best(await queue.infer(frame(mark))) == mark
            assert threads() != []
            await until(lambda: threads() == [])
        await queue.close()

    run(test)


def test_timings_add_up() -> None:
    async def test() -> None:
        queue = AsyncQueue(ovm.load_classifier(SIGNS, device="CPU"))
        answers = await asyncio.gather(*(queue.infer(np.zeros((300, 400, 3), np.uint8)) for _ in range(20)))
        for timings in (answer.timings for answer in answers):
            stages = (timings.decode, timings.geometry, timings.queue, timings.inference)
            assert min(stages) >= 0.0
            assert sum(stages) == pytest.approx(timings.total)
        assert max(answer.timings.queue for answer in answers) > 0.0
        await queue.close()

    run(test)


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 0}, {"requests": 0}, {"max_queue": 0}, {"decode_workers": 0}, {"max_wait_ms": -1.0},
     {"max_wait_ms": float("nan")}, {"device_timeout_s": 0.0}],
)  # fmt: skip
def test_invalid_numbers_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="invalid"):
        AsyncQueue(classifier(), **options)


@pytest.mark.parametrize("seed", range(2))
def test_every_call_ends_once_whatever_happens_to_the_others(seed: int) -> None:
    """Unreadable images, deadlines, cancellations, failing requests and a full queue, at random, on two event loops."""
    fails = {5, 17} if seed == 1 else set()
    model = classifier(Behaviour(real_time=True, service_s=0.001, fails=fails), stream_batch=3)
    # An image that is expected and never comes would hold up the others.
    queue = AsyncQueue(model, max_queue=40, max_wait_ms=60_000.0, decode_workers=3)
    ends: dict[int, list[str]] = {0: [], 1: []}

    async def one(loop: int, mark: int, rng: np.random.Generator) -> None:
        image = b"not an image" if rng.random() < 0.1 else frame(mark)
        sized = bool(rng.random() < 0.5) and isinstance(image, np.ndarray)
        timeout_s = float(rng.choice([0.0005, 0.005, 60.0]))
        call = asyncio.ensure_future(queue.infer(image, has_input_size=sized, timeout_s=timeout_s))
        if rng.random() < 0.3:
            await asyncio.sleep(float(rng.choice([0.0, 0.002])))
            call.cancel()
        (end,) = await asyncio.gather(call, return_exceptions=True)
        if isinstance(end, InferredImage):
            assert best(end) == mark % CLASSES
        ends[loop].append(type(end).__name__)

    async def many(loop: int) -> None:
        rng = np.random.default_rng([seed, loop])
        tasks = []
        for mark in range(300):
            tasks.append(asyncio.ensure_future(one(loop, mark, rng)))
            if rng.random() < 0.2:
                await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)

    other = threading.Thread(target=lambda: asyncio.run(many(1)))
    other.start()
    asyncio.run(many(0))
    other.join()
    fails.clear()
    assert queue.pending == 0
    assert len(ends[0]) == len(ends[1]) == 300
    expected = {"InferredImage", "ImageError", "CancelledError", "DeadlineError"}
    assert expected <= set(ends[0] + ends[1]) <= expected | {"DeviceError", "QueueFullError"}

    async def test() -> None:
        assert best(await queue.infer(frame(6), has_input_size=True)) == 6
        await queue.close()

    run(test)


# classify_async


@pytest.fixture(scope="module")
def drawings() -> list[Path]:
    return sorted((Path(__file__).parents[2] / "model_configs" / SIGNS / "samples").glob("*.jpg"))


@pytest.mark.full
def test_a_thousand_concurrent_calls_answer_as_classify_does(drawings: list[Path]) -> None:
    model = ovm.load_classifier(SIGNS, device="CPU", inference_precision="f32")
    rng = np.random.default_rng(5)
    images: list[Any] = [*drawings, *(path.read_bytes() for path in drawings)]
    images += [rng.integers(0, 256, (rng.integers(20, 300), 200, 3), dtype=np.uint8) for _ in range(30)]
    expected = [model.classify(image, top_k=16) for image in images]
    chosen = rng.integers(0, len(images), 1000).tolist()

    async def test() -> None:
        answers = await asyncio.gather(*(model.classify_async(images[index], top_k=16) for index in chosen))
        for index, answer in zip(chosen, answers, strict=True):
            assert answer.predictions == expected[index].predictions  # bit by bit
            assert answer.source == expected[index].source
        await until(lambda: threads() == [])

    run(test)


def test_classify_async_works_after_asyncio_run_has_ended_and_frees_everything(drawings: list[Path]) -> None:
    model = ovm.load_classifier(SIGNS, device="CPU", inference_precision="f32")
    best_of_first = model.classify(drawings[0]).best

    async def use(model: Classifier) -> None:
        assert (await model.classify_async(drawings[0])).best == best_of_first
        with pytest.raises(ImageError, match="not an image in a known format"):
            await model.classify_async(b"abc")

    for _ in range(2):
        asyncio.run(use(model))
    asyncio.run(until(lambda: threads() == []))
    gc.collect()
    gc.disable()
    try:
        is_freed = weakref.ref(model)
        del model
        assert is_freed() is None
    finally:
        gc.enable()


def test_classify_async_raises_as_documented(drawings: list[Path]) -> None:
    async def test() -> None:
        model = classifier(Behaviour(dies_after=0))
        for _ in range(3):
            with pytest.raises(DeviceError):
                await model.classify_async(frame(1))
        with pytest.raises(DeviceError, match="stopped working"):
            await model.classify_async(frame(1))
        with pytest.raises(DeadlineError):
            await classifier().classify_async(frame(1), timeout_s=0)
        with pytest.raises(UsageError, match="invalid timeout_s"):
            await model.classify_async(frame(1), timeout_s=-1)
        await until(lambda: threads() == [])

    run(test)


EXIT = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from fake_classifier import classifier, frame
from fake_device import Behaviour
hangs = classifier(Behaviour(hangs=range(9)))
async def use():
    print((await classifier().classify_async(frame(3))).best.class_id, flush=True)
    waiting = [asyncio.ensure_future(hangs.classify_async(frame(mark))) for mark in range(5)]
    await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
if sys.argv[2] == "run":
    asyncio.run(use())
else:
    loop.run_until_complete(use())
"""


@pytest.mark.parametrize("how", ["run", "abandoned loop"])
def test_the_interpreter_exits_while_images_wait_for_a_device_that_hangs(how: str) -> None:
    tests = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXIT, tests, how], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "3\n"
    assert "Fatal" not in done.stderr
