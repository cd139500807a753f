"""The queue and the pipeline: every picture accounted for, in order, in bounds, whatever the device does."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
import small_networks as small
from fake_device import CPU, Behaviour, FakeClock, FakeCompiledModel
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.errors import DeviceError, MissingDependencyError, UsageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.device import Compiled
from ov_mobilenet.runtime.infer_queue import FATAL_FAILURES, InferQueue
from ov_mobilenet.runtime.results import Classification, Failure
from ov_mobilenet.zoo.geometry import parse_words

SIDE, CLASSES = 4, 8


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """A test that hangs ends the run and shows where every thread stood."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def fake(batch: int, behaviour: Behaviour, requests: int = 2) -> Compiled:
    parameter = ops.parameter([batch, SIDE, SIDE, 3], ov.Type.u8)
    row = ops.reduce_mean(ops.convert(parameter, "f32"), np.array([1, 2, 3]))
    network = ov.Model([ops.result(ops.matmul(ops.reshape(row, [batch, 1], False), np.ones((1, CLASSES), np.float32),
                                              False, False))], [parameter], "fake")  # fmt: skip
    values = {"CPU": {**CPU.writable, "NUM_STREAMS": requests, "OPTIMAL_NUMBER_OF_INFER_REQUESTS": requests}}
    compiled = FakeCompiledModel(network, "CPU", values, behaviour)
    return Compiled(compiled, "CPU", "f32", requests, requests, None, {})


def classifier(behaviour: Behaviour = Behaviour(), batch: int = 1) -> Classifier:  # noqa: B008
    return Classifier(
        fake(batch, behaviour), geometry=parse_words(f"resize {SIDE}"), labels=None, record=None,
        compile_batch=lambda size: fake(size, behaviour),
    )  # fmt: skip


def frame(mark: int) -> np.ndarray:
    """The fake device's answer is the first byte, modulo the classes."""
    found = np.zeros((SIDE, SIDE, 3), np.uint8)
    found[0, 0, 0] = mark % 256
    return found


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


def right(key: object, result: object) -> bool:
    return isinstance(result, Classification) and result.best.class_id == int(str(key)) % CLASSES


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("ordered", [True, False])
def test_every_picture_gives_its_own_answer(batch: int, ordered: bool) -> None:
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
    # One request of 10 ms at a time, on a clock that only the device moves: the second picture waits for the first.
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
def test_a_device_that_dies_is_one_error_and_every_picture_is_accounted_for(at_start: bool) -> None:
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
    assert len(failures) >= FATAL_FAILURES
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


def test_whatever_goes_wrong_with_a_batch_is_its_pictures_result() -> None:
    queue = InferQueue(classifier(), batch_size=2, requests=1, max_wait_ms=1)
    wrong = np.zeros((SIDE + 1, SIDE, 3), np.uint8)
    for mark in range(6):
        prepared = queue._classifier.prepare(frame(mark), str(mark))
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


# The pipeline on top


def pictures(folder: Path, count: int) -> list[Path]:
    files = []
    for mark in range(count):
        files.append(folder / f"{mark:03}.png")
        Image.fromarray(frame(mark)[:, :, ::-1]).save(files[-1])
    return files


def test_a_stream_keeps_the_order_and_survives_bad_pictures(tmp_path: Path) -> None:
    files = pictures(tmp_path, 60)
    files[7].write_bytes(files[7].read_bytes()[:40])  # truncated
    files[20].write_bytes(b"")
    inputs: list = [*files]
    inputs[33] = tmp_path / "vanished.png"
    inputs[40] = np.zeros((3, 3), np.float32)
    inputs[41] = None
    results = list(classifier().stream(inputs, workers=4, batch_size=4))
    bad = {7, 20, 33, 40, 41}
    assert [index for index, result in enumerate(results) if isinstance(result, Failure)] == sorted(bad)
    assert [r.source for r in results[:7]] == [str(f) for f in files[:7]]
    assert all(right(i, r) for i, r in enumerate(results) if i not in bad)


def test_inputs_that_raise_end_the_stream_after_what_they_gave() -> None:
    def inputs() -> Iterator[np.ndarray]:
        yield from (frame(mark) for mark in range(10))
        raise ConnectionError("camera unplugged")

    results = []
    with pytest.raises(ConnectionError, match="unplugged"):
        for result in classifier().stream(inputs()):
            results.append(result)
    assert len(results) == 10


def test_a_missing_library_ends_a_stream_once_after_what_was_done_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bad,) = pictures(tmp_path, 1)
    model = classifier()
    monkeypatch.setitem(sys.modules, "cv2", None)  # as without libGL: importing it fails
    for workers in (1, 4):
        results = []
        with pytest.raises(MissingDependencyError, match="OpenCV cannot be imported"):
            for result in model.stream([*map(frame, range(10)), *[bad] * 5], workers=workers):
                results.append(result)
        assert [right(mark, result) for mark, result in enumerate(results)] == [True] * 10


@pytest.mark.parametrize("wishes", [{"workers": 0}, {"workers": -1}, {"requests": 0}, {"batch_size": 0}, {"top_k": 0}])
def test_bad_numbers_of_a_stream_are_usage_errors(wishes: dict) -> None:
    with pytest.raises(UsageError, match="expected at least 1, got"):
        classifier().stream([], **wishes)


def test_a_missing_library_ends_a_stream_whose_other_threads_wait_for_room() -> None:
    model, real, workers = classifier(), Classifier.prepare, 2
    room = InferQueue(model).capacity + workers
    full = threading.Event()

    def inputs() -> Iterator[np.ndarray | bytes]:
        yield b"needs what is missing"
        for mark in range(1000):
            if mark == room - 2:  # the other thread went on, and this is the last that there is room for
                full.set()
            yield frame(mark)

    def prepare(image: Any, name: str) -> Any:
        if isinstance(image, bytes):
            full.wait()
            raise MissingDependencyError("OpenCV cannot be imported")
        return real(model, image, name)

    model.prepare = prepare  # type: ignore[method-assign]
    with pytest.raises(MissingDependencyError):
        list(model.stream(inputs(), workers=workers))


def test_a_stream_that_nobody_reads_to_its_end_stops_its_threads() -> None:
    taken = []

    def inputs() -> Iterator[np.ndarray]:
        for mark in range(10**9):
            taken.append(mark)
            yield frame(mark % 256)

    before = threading.active_count()
    results = classifier().stream(inputs(), workers=3)
    for _ in range(5):
        next(results)
    results.close()
    assert threading.active_count() == before
    seen = len(taken)
    assert seen < 100
    assert list(classifier().stream([])) == []


def test_a_slow_consumer_holds_the_inputs_back() -> None:
    model, taken = classifier(), []

    def inputs() -> Iterator[np.ndarray]:
        for mark in range(300):
            taken.append(mark)
            yield frame(mark % 256)

    for number, _ in enumerate(model.stream(inputs(), workers=2)):
        assert len(taken) <= number + 60
    assert len(taken) == 300


def test_a_device_that_dies_ends_a_stream_with_its_error() -> None:
    results = []
    with pytest.raises(DeviceError, match="stopped working"):
        for result in classifier(Behaviour(dies_after=10)).stream((frame(m % 256) for m in range(10**6)), workers=3):
            results.append(result)
    assert 10 - 4 <= sum(isinstance(result, Classification) for result in results) <= 10


def test_twenty_thousand_inputs_need_no_more_memory_than_a_thousand() -> None:
    resource = pytest.importorskip("resource")
    model = classifier()
    one = frame(3)
    for _ in model.stream((one for _ in range(1000)), batch_size=8):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(1 for _ in model.stream((one for _ in range(20_000)), batch_size=8))
    assert count == 20_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


def test_threads_share_one_classifier(tmp_path: Path) -> None:
    model = classifier()
    wrong = []

    def work(start: int) -> None:
        for mark in range(start, start + 50):
            if not right(mark, model.classify(frame(mark))):
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
