"""`InferQueue`: one result per image, in order, in bounded memory, whatever the device does."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import small_networks as small
from fake_classifier import SIDE, classified, classifier, failed, frame, is_right
from fake_device import Behaviour, FakeClock

import ov_mobilenet as ovm
from ov_mobilenet.errors import DeviceError, UsageError
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Failure
from ov_mobilenet.runtime.scheduler import MAX_CONSECUTIVE_FAILURES, Pacing, Scheduler


def submit_all(queue: InferQueue, marks: range, *, close: bool = True) -> threading.Thread:
    def work() -> None:
        try:
            for mark in marks:
                queue.submit(frame(mark), mark)
        except DeviceError:
            return
        if close:
            queue.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("ordered", [True, False])
def test_every_image_gives_its_own_result(batch: int, ordered: bool) -> None:
    queue = InferQueue(classifier(), batch_size=batch, ordered=ordered, max_wait_ms=1)
    thread = submit_all(queue, range(200))
    results = list(queue)
    thread.join()
    assert sorted(int(str(key)) for key, _ in results) == list(range(200))
    assert all(is_right(key, result) for key, result in results)
    if ordered:
        assert [key for key, _ in results] == list(range(200))


def test_fifty_producers_and_three_consumers() -> None:
    queue = InferQueue(classifier(), batch_size=4, max_wait_ms=1)
    producers = [submit_all(queue, range(start * 40, start * 40 + 40), close=False) for start in range(50)]
    taken: list[tuple[object, object]] = []
    consumers = [threading.Thread(target=lambda: taken.extend(queue)) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    for producer in producers:
        producer.join()
    queue.close()
    for consumer in consumers:
        consumer.join()
    assert sorted(int(str(key)) for key, _ in taken) == list(range(2000))
    assert all(is_right(key, result) for key, result in taken)


def test_submit_waits_at_the_capacity() -> None:
    queue = InferQueue(classifier(), capacity=10)
    submitted = []

    def work() -> None:
        for mark in range(100):
            queue.submit(frame(mark), mark)
            submitted.append(mark)
        queue.close()

    thread = threading.Thread(target=work)
    thread.start()
    for taken, _ in enumerate(queue):
        assert len(submitted) <= taken + 1 + 10
    thread.join()
    assert len(submitted) == 100


def test_an_incomplete_batch_starts_after_max_wait_ms() -> None:
    queue = InferQueue(classifier(), batch_size=8, max_wait_ms=1)
    for mark in range(3):
        queue.submit(frame(mark), mark)
    assert [next(queue)[0] for _ in range(3)] == [0, 1, 2]  # the queue is still open


def test_batches_give_the_results_of_single_images(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "small")
    sources = ovm.download(ovm.load_config(yml), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    xml = ovm.convert(sources, tmp_path, precisions=("FP32",))[0].xml
    real = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    frames = small.frames(21)
    alone = {tuple(p.class_id for p in classified(r).top_k): r for r in real.classify_batch(frames, top_k=5)}
    assert len(alone) > 1
    expected = [small.by_hand(image) for image in frames]
    for batch in (1, 4, 8):
        queue = InferQueue(real, batch_size=batch, max_wait_ms=1)
        thread = threading.Thread(target=lambda q=queue: ([q.submit(f, i) for i, f in enumerate(frames)], q.close()))
        thread.start()
        for key, result in queue:
            for prediction in classified(result).predictions:
                assert prediction.probability == pytest.approx(expected[int(str(key))][prediction.class_id], abs=3e-5)
        thread.join()
    one = [[p.probability for p in classified(r).top_k] for r in real.classify_batch(frames)]
    eight = [[p.probability for p in classified(r).top_k] for r in real.stream(frames, batch_size=8)]
    assert np.abs(np.array(one) - np.array(eight)).max() < 1e-6


def test_a_frame_may_be_overwritten_after_submit() -> None:
    queue = InferQueue(classifier(), capacity=100)
    buffer = frame(0)
    for mark in range(60):
        buffer[0, 0, 0] = mark
        queue.submit(buffer, mark)
    queue.close()
    assert all(is_right(key, result) for key, result in queue)


def test_inference_time_is_the_latency_that_the_device_reports() -> None:
    # One request of 10 ms on a simulated clock: the second image waits for the first.
    clock = FakeClock()
    model = classifier(Behaviour(clock=clock, service_s=0.010, streams=1))
    queue = InferQueue(model, requests=1, clock=clock, capacity=100)
    queue.submit(frame(0), 0)
    queue.submit(frame(1), 1)
    queue.close()
    first, second = (classified(result).timings_ms for _, result in queue)
    assert (first.queue, first.inference) == pytest.approx((0.0, 10.0))
    assert (second.queue, second.inference) == pytest.approx((10.0, 10.0))


@pytest.mark.parametrize("at_start", [True, False])
def test_a_lost_device_raises_once_after_a_result_for_every_image(at_start: bool) -> None:
    queue = InferQueue(classifier(Behaviour(dies_after=20, dies_at_start=at_start)), capacity=16)
    thread = submit_all(queue, range(100))
    results = []
    with pytest.raises(DeviceError, match=r"stopped working \(\[GPU\] CL_OUT_OF_RESOURCES: device lost\)"):
        for item in queue:
            results.append(item)
    thread.join()
    assert [key for key, _ in results] == list(range(len(results)))
    answered = [result for _, result in results if isinstance(result, Classification)]
    failures = [result for _, result in results if isinstance(result, Failure)]
    assert 20 - queue.requests <= len(answered) <= 20  # requests that ran when the device was lost have failed
    assert len(failures) >= MAX_CONSECUTIVE_FAILURES
    assert all("device failed" in failure.error for failure in failures)
    assert list(queue) == [], "the error is raised once"
    with pytest.raises(DeviceError):
        queue.submit(frame(1), 1)


def test_a_device_that_hangs_counts_as_lost() -> None:
    queue = InferQueue(classifier(Behaviour(hangs=range(5, 1000))), timeout_s=0.3, capacity=16)
    thread = submit_all(queue, range(100))
    results = []
    with pytest.raises(DeviceError, match=r"no answer within 0\.3 s"):
        for item in queue:
            results.append(item)
    thread.join()
    assert sum(is_right(key, result) for key, result in results) == 5
    assert any(isinstance(result, Failure) for _, result in results)


def test_failed_requests_and_nan_are_failures_of_their_images() -> None:
    queue = InferQueue(classifier(Behaviour(nan={3}, fails={5, 9})), requests=1)
    thread = submit_all(queue, range(20))
    results = dict(queue)
    thread.join()
    assert "not finite" in failed(results[3]).error
    assert all("this request failed" in failed(results[number]).error for number in (5, 9))
    assert sum(is_right(key, result) for key, result in results.items()) == 17


def test_an_error_while_a_batch_is_filled_fails_the_images_of_that_batch() -> None:
    queue = InferQueue(classifier(), batch_size=2, requests=1, max_wait_ms=1)
    wrong_size = np.zeros((SIDE + 1, SIDE, 3), np.uint8)
    for mark in range(6):
        prepared = queue._classifier.prepare(Item(frame(mark), str(mark)))
        if mark == 3:
            prepared = replace(prepared, frame=wrong_size)  # does not fit into the batch
        queue.submit_prepared(prepared, mark)
    queue.close()
    results = dict(queue)
    assert [mark for mark in range(6) if isinstance(results[mark], Failure)] == [2, 3]
    assert all(is_right(m, results[m]) for m in (0, 1, 4, 5))


def test_close_finishes_or_cancels() -> None:
    queue = InferQueue(classifier(), batch_size=4)
    for mark in range(6):
        queue.submit(frame(mark), mark)
    queue.close()
    with pytest.raises(UsageError, match="closed"):
        queue.submit(frame(1), 1)
    assert all(is_right(key, result) for key, result in queue)

    queue = InferQueue(classifier(Behaviour(hangs=range(100))), batch_size=4)
    for mark in range(6):
        queue.submit(frame(mark), mark)
    queue.close(cancel=True)
    assert ["cancelled" in failed(result).error for _, result in queue] == [True] * 6

    with pytest.raises(KeyError), InferQueue(classifier(Behaviour(hangs=range(100)))) as queue:
        queue.submit(frame(1), 1)
        raise KeyError
    assert [key for key, _ in queue] == [1]


@pytest.mark.parametrize(
    "options", [{"top_k": 0}, {"requests": 0}, {"batch_size": 0}, {"batch_size": 8, "capacity": 7}]
)
def test_invalid_numbers_are_usage_errors(options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        InferQueue(classifier(), **options)  # type: ignore[arg-type]


def test_requests_start_when_enough_images_are_gathered(tmp_path: Path) -> None:
    model = classifier()
    scheduler = Scheduler(
        model, model.compiled(2), 4, Pacing(capacity=20, gather=6, max_wait_s=60),
        top_k=1, ordered=True, timeout_s=60, clock=perf_counter,
    )  # fmt: skip
    tally = model.compiled(2).model.tally

    def submit(mark: int) -> None:
        scheduler.add(mark, model.prepare(Item(frame(mark), str(mark))))

    for mark in range(5):
        submit(mark)
    assert tally.started == 0
    submit(5)
    assert tally.started == 3
    submit(6)
    assert tally.started == 3
    scheduler.close()  # starts the rest
    assert [key for key, result in (scheduler.take_ready(1)[0] for _ in range(7)) if is_right(key, result)] == list(
        range(7)
    )
    with pytest.raises(StopIteration):
        scheduler.take_ready(1)


def test_cancel_keeps_the_results_of_finished_requests() -> None:
    queue = InferQueue(classifier(Behaviour(hangs=[1])), requests=4)
    for mark in range(4):
        queue.submit(frame(mark), mark)
    queue.close(cancel=True)
    results = dict(queue)
    assert "cancelled" in failed(results[1]).error
    assert all(is_right(mark, results[mark]) for mark in (0, 2, 3))
