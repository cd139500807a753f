"""The queue: every image accounted for, in order, in bounds, whatever the device does."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import small_networks as small
from fake_classifier import SIDE, classifier, frame, right
from fake_device import Behaviour, FakeClock

import ov_mobilenet as ovm
from ov_mobilenet.errors import DeviceError, UsageError
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Failure
from ov_mobilenet.runtime.scheduler import MAX_CONSECUTIVE_FAILURES, Pacing, Scheduler


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """A test that hangs ends the run and shows where every thread stood."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def feed(queue: InferQueue, marks: range, *, close: bool = True) -> threading.Thread:
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
def test_every_image_gives_its_own_answer(batch: int, ordered: bool) -> None:
    queue = InferQueue(classifier(), batch_size=batch, ordered=ordered, max_wait_ms=1)
    thread = feed(queue, range(200))
    results = list(queue)
    thread.join()
    assert sorted(int(str(key)) for key, _ in results) == list(range(200))
    assert all(right(key, result) for key, result in results)
    if ordered:
        assert [key for key, _ in results] == list(range(200))


def test_fifty_producers_and_three_consumers() -> None:
    queue = InferQueue(classifier(), batch_size=4, max_wait_ms=1)
    producers = [feed(queue, range(start * 40, start * 40 + 40), close=False) for start in range(50)]
    taken: list[tuple] = []
    consumers = [threading.Thread(target=lambda: taken.extend(queue)) for _ in range(3)]
    for consumer in consumers:
        consumer.start()
    for producer in producers:
        producer.join()
    queue.close()
    for consumer in consumers:
        consumer.join()
    assert sorted(key for key, _ in taken) == list(range(2000))
    assert all(right(key, result) for key, result in taken)


def test_a_queue_is_no_larger_than_its_capacity() -> None:
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


def test_a_batch_that_does_not_fill_is_not_waited_for_forever() -> None:
    queue = InferQueue(classifier(), batch_size=8, max_wait_ms=1)
    for mark in range(3):
        queue.submit(frame(mark), mark)
    assert [next(queue)[0] for _ in range(3)] == [0, 1, 2]  # nobody closed it


def test_batches_answer_as_one_by_one(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "small")
    sources = ovm.download(ovm.load_config(yml), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    xml = ovm.convert(sources, tmp_path, precisions=("FP32",))[0].xml
    real = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    frames = small.frames(21)
    alone = {tuple(p.class_id for p in r.top_k): r for r in real.classify_batch(frames, top_k=5)}
    assert len(alone) > 1
    expected = [small.by_hand(image) for image in frames]
    for batch in (1, 4, 8):
        queue = InferQueue(real, batch_size=batch, max_wait_ms=1)
        thread = threading.Thread(target=lambda q=queue: ([q.submit(f, i) for i, f in enumerate(frames)], q.close()))
        thread.start()
        for key, result in queue:
            for prediction in result.predictions:
                assert prediction.probability == pytest.approx(expected[key][prediction.class_id], abs=3e-5)
        thread.join()
    one = [[p.probability for p in r.top_k] for r in real.classify_batch(frames)]
    eight = [[p.probability for p in r.top_k] for r in real.stream(frames, batch_size=8)]
    assert np.abs(np.array(one) - np.array(eight)).max() < 1e-6


def test_a_frame_may_be_written_over_as_soon_as_it_is_submitted() -> None:
    queue = InferQueue(classifier(), capacity=100)
    buffer = frame(0)
    for mark in range(60):
        buffer[0, 0, 0] = mark
        queue.submit(buffer, mark)
    queue.close()
    assert all(right(key, result) for key, result in queue)


def test_latencies_are_the_devices_own_to_the_last_digit() -> None:
    # One request of 10 ms at a time, on a clock that only the device moves: the second image waits for the first.
    clock = FakeClock()
    model = classifier(Behaviour(clock=clock, service_s=0.010, streams=1))
    queue = InferQueue(model, requests=1, clock=clock, capacity=100)
    queue.submit(frame(0), 0)
    queue.submit(frame(1), 1)
    queue.close()
    first, second = (result.timings_ms for _, result in queue)
    assert (first.queue, first.inference) == pytest.approx((0.0, 10.0))
    assert (second.queue, second.inference) == pytest.approx((10.0, 10.0))


@pytest.mark.parametrize("at_start", [True, False])
def test_a_device_that_dies_is_one_error_and_every_image_is_accounted_for(at_start: bool) -> None:
    queue = InferQueue(classifier(Behaviour(dies_after=20, dies_at_start=at_start)), capacity=16)
    thread = feed(queue, range(100))
    results = []
    with pytest.raises(DeviceError, match=r"stopped working \(\[GPU\] CL_OUT_OF_RESOURCES: device lost\)"):
        for item in queue:
            results.append(item)
    thread.join()
    assert [key for key, _ in results] == list(range(len(results)))
    answered = [result for _, result in results if isinstance(result, Classification)]
    failures = [result for _, result in results if isinstance(result, Failure)]
    assert 20 - queue.requests <= len(answered) <= 20  # what was in the device when it died is lost with it
    assert len(failures) >= MAX_CONSECUTIVE_FAILURES
    assert all("device failed" in failure.error for failure in failures)
    assert list(queue) == [], "the error is told once"
    with pytest.raises(DeviceError):
        queue.submit(frame(1), 1)


def test_a_device_that_hangs_is_given_up() -> None:
    queue = InferQueue(classifier(Behaviour(hangs=range(5, 1000))), timeout_s=0.3, capacity=16)
    thread = feed(queue, range(100))
    results = []
    with pytest.raises(DeviceError, match=r"no answer within 0\.3 s"):
        for item in queue:
            results.append(item)
    thread.join()
    assert sum(right(key, result) for key, result in results) == 5
    assert any(isinstance(result, Failure) for _, result in results)


def test_single_failures_and_nans_are_results_of_their_own() -> None:
    queue = InferQueue(classifier(Behaviour(nan={3}, fails={5, 9})), requests=1)
    thread = feed(queue, range(20))
    results = dict(queue)
    thread.join()
    assert "not finite" in results[3].error
    assert all("this request failed" in results[number].error for number in (5, 9))
    assert sum(right(key, result) for key, result in results.items()) == 17


def test_whatever_goes_wrong_with_a_batch_is_its_images_result() -> None:
    queue = InferQueue(classifier(), batch_size=2, requests=1, max_wait_ms=1)
    wrong = np.zeros((SIDE + 1, SIDE, 3), np.uint8)
    for mark in range(6):
        prepared = queue._classifier.prepare(Item(frame(mark), str(mark)))
        if mark == 3:
            prepared = replace(prepared, frame=wrong)  # does not fit beside the others
        queue.submit_prepared(prepared, mark)
    queue.close()
    results = dict(queue)
    assert [mark for mark in range(6) if isinstance(results[mark], Failure)] == [2, 3]
    assert all(right(m, results[m]) for m in (0, 1, 4, 5))


def test_closing_drains_or_cancels() -> None:
    queue = InferQueue(classifier(), batch_size=4)
    for mark in range(6):
        queue.submit(frame(mark), mark)
    queue.close()
    with pytest.raises(UsageError, match="closed"):
        queue.submit(frame(1), 1)
    assert all(right(key, result) for key, result in queue)

    queue = InferQueue(classifier(Behaviour(hangs=range(100))), batch_size=4)
    for mark in range(6):
        queue.submit(frame(mark), mark)
    queue.close(cancel=True)
    assert ["cancelled" in result.error for _, result in queue] == [True] * 6

    with pytest.raises(KeyError), InferQueue(classifier(Behaviour(hangs=range(100)))) as queue:
        queue.submit(frame(1), 1)
        raise KeyError
    assert [key for key, _ in queue] == [1]


@pytest.mark.parametrize("wishes", [{"top_k": 0}, {"requests": 0}, {"batch_size": 0}, {"batch_size": 8, "capacity": 7}])
def test_bad_numbers_are_usage_errors(wishes: dict) -> None:
    with pytest.raises(UsageError):
        InferQueue(classifier(), **wishes)


def test_gathered_images_start_together(tmp_path: Path) -> None:
    model = classifier()
    scheduler = Scheduler(
        model, model.compiled(2), 4, Pacing(capacity=20, gather=6, max_wait_s=60),
        top_k=1, ordered=True, timeout_s=60, clock=perf_counter,
    )  # fmt: skip
    tally = model.compiled(2).model.tally

    def submit(mark: int) -> None:
        scheduler.fill(scheduler.admit(), mark, model.prepare(Item(frame(mark), str(mark))))

    for mark in range(5):
        submit(mark)
    assert tally.started == 0
    submit(5)
    assert tally.started == 3
    submit(6)
    assert tally.started == 3
    scheduler.close()  # what is too little to be gathered is done all the same
    assert [key for key, result in (scheduler.take() for _ in range(7)) if right(key, result)] == list(range(7))
    with pytest.raises(StopIteration):
        scheduler.take()


def test_what_the_device_has_done_is_kept_when_the_queue_is_cancelled() -> None:
    queue = InferQueue(classifier(Behaviour(hangs=[1])), requests=4)
    for mark in range(4):
        queue.submit(frame(mark), mark)
    queue.close(cancel=True)
    results = dict(queue)
    assert "cancelled" in results[1].error
    assert all(right(mark, results[mark]) for mark in (0, 2, 3))
