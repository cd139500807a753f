"""`Classifier.stream`: files and frames in, results in order out, whatever fails on the way."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_classifier import classifier, frame, is_right
from fake_device import Behaviour
from numpy.typing import NDArray
from PIL import Image

from ov_mobilenet.errors import DeviceError, MissingDependencyError, UsageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.infer_queue import default_capacity
from ov_mobilenet.runtime.items import Item, Prepared
from ov_mobilenet.runtime.results import AnyResult, Classification, Failure
from ov_mobilenet.runtime.stream import ResultStream, default_requests, result_groups


def write_images(folder: Path, count: int) -> list[Path]:
    files = []
    for mark in range(count):
        files.append(folder / f"{mark:03}.png")
        Image.fromarray(frame(mark)[:, :, ::-1]).save(files[-1])
    return files


def test_a_stream_keeps_the_order_and_survives_unreadable_images(tmp_path: Path) -> None:
    files = write_images(tmp_path, 60)
    files[7].write_bytes(files[7].read_bytes()[:40])  # truncated
    files[20].write_bytes(b"")
    inputs: list[Any] = [*files]
    inputs[33] = tmp_path / "vanished.png"
    inputs[40] = np.zeros((3, 3), np.float32)
    inputs[41] = None
    results = list(classifier().stream(inputs, workers=4, batch_size=4))
    unreadable = {7, 20, 33, 40, 41}
    assert [index for index, result in enumerate(results) if isinstance(result, Failure)] == sorted(unreadable)
    assert [r.source for r in results[:7]] == [str(f) for f in files[:7]]
    assert all(is_right(i, r) for i, r in enumerate(results) if i not in unreadable)


def test_an_error_of_the_inputs_is_raised_after_the_results_before_it() -> None:
    def inputs() -> Iterator[NDArray[np.uint8]]:
        yield from (frame(mark) for mark in range(10))
        raise ConnectionError("camera unplugged")

    results = []
    with pytest.raises(ConnectionError, match="unplugged"):
        for result in classifier().stream(inputs()):
            results.append(result)
    assert len(results) == 10


@pytest.mark.parametrize("batch", [1, 4])
def test_groups_of_results_are_the_results_in_order(batch: int) -> None:
    def marks() -> Iterator[NDArray[np.uint8]]:
        yield from map(frame, range(50))
        raise OSError("the camera is gone")

    results = classifier(stream_batch=batch).stream(marks(), workers=2)
    first = next(results)  # a single result, then groups
    found: list[AnyResult] = [first]
    sizes = []
    with pytest.raises(OSError, match="the camera is gone"):
        for group in result_groups(results):
            sizes.append(len(group))
            found += group
    assert len(found) == 50
    assert min(sizes) >= 1
    assert batch == 1 or max(sizes) > 1  # the results of a request are ready together
    assert all(is_right(mark, result) for mark, result in enumerate(found))


def test_single_results_between_groups_are_taken_once() -> None:
    failures: list[AnyResult] = [Failure(str(number), "broken") for number in range(6)]
    results = ResultStream((part for part in (failures[:3], failures[3:5], failures[5:])), lambda: None)
    found = [next(results)]
    for group in results.groups():
        found += [*group, next(results)]
        if len(found) == 6:
            break
    assert found == failures


def test_groups_of_any_iterator_are_single_results() -> None:
    failures = [Failure("one", "broken"), Failure("two", "broken")]
    assert list(result_groups(iter(failures))) == [[failure] for failure in failures]


def test_a_missing_library_is_raised_once_after_the_results_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = write_images(tmp_path, 1)
    model = classifier()
    monkeypatch.setitem(sys.modules, "cv2", None)  # as without libGL: the import fails
    for workers in (1, 4):
        results = []
        with pytest.raises(MissingDependencyError, match="OpenCV cannot be imported"):
            for result in model.stream([*map(frame, range(10)), *[file] * 5], workers=workers):
                results.append(result)
        assert [is_right(mark, result) for mark, result in enumerate(results)] == [True] * 10


@pytest.mark.parametrize("option", [{"workers": 0}, {"workers": -1}, {"requests": 0}, {"batch_size": 0}, {"top_k": 0}])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_numbers_below_1_are_usage_errors(option: dict[str, int], count: int) -> None:
    with pytest.raises(UsageError, match=f"invalid {next(iter(option))}: expected at least 1, got"):
        classifier().stream([frame(0)] * count, **option)  # type: ignore[arg-type]


def replace_prepare(model: Classifier, prepare: Callable[[Item], Prepared]) -> None:
    model.prepare = prepare  # type: ignore[method-assign, assignment]


def test_a_missing_library_ends_a_stream_whose_other_thread_waits_for_room() -> None:
    model, workers = classifier(), 2
    prepare = model.prepare
    capacity = default_capacity(1, default_requests(model, model.compiled(1))) + workers
    is_full = threading.Event()

    def inputs() -> Iterator[NDArray[np.uint8] | bytes]:
        yield b"needs the missing library"
        for mark in range(1000):
            if mark == capacity - 2:  # the other thread continued, and this is the last image that there is room for
                is_full.set()
            yield frame(mark)

    def prepare_or_raise(item: Item) -> Prepared:
        if isinstance(item.image, bytes):
            is_full.wait()
            raise MissingDependencyError("OpenCV cannot be imported")
        return prepare(item)

    replace_prepare(model, prepare_or_raise)
    with pytest.raises(MissingDependencyError):
        list(model.stream(inputs(), workers=workers))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("no memory")])
def test_no_exception_in_a_decoding_thread_blocks_the_consumer(error: BaseException) -> None:
    model = classifier()
    prepare = model.prepare

    def prepare_or_raise(item: Item) -> Prepared:
        if item.source == "image 5":
            raise error
        return prepare(item)

    replace_prepare(model, prepare_or_raise)
    results = model.stream(frame(mark) for mark in range(20))
    assert all(is_right(mark, next(results)) for mark in range(5))
    if isinstance(error, Exception):
        assert "MemoryError" in str(next(results))
        assert len(list(results)) == 14
    else:
        with pytest.raises(type(error)):
            next(results)


def test_a_stream_that_is_closed_early_stops_its_threads() -> None:
    taken = []

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(10**9):
            taken.append(mark)
            yield frame(mark)

    before = threading.active_count()
    results = classifier().stream(inputs(), workers=3)
    for _ in range(5):
        next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before
    assert len(taken) < 100
    assert list(classifier().stream([])) == []


SUSPENDED_STREAM = """
import atexit, sys, threading
sys.path.insert(0, sys.argv[1])
from fake_classifier import classifier, frame
atexit.register(lambda: print("threads at exit:", threading.active_count()))  # called after what is registered later
results = classifier().stream((frame(mark) for mark in range(10**9)), workers=8)
for _ in range(100):
    next(results)
print("threads:", threading.active_count())
"""


def test_the_interpreter_exits_while_a_stream_is_suspended() -> None:
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", SUSPENDED_STREAM, tests], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n") == ["threads: 9", "threads at exit: 1", ""]
    assert done.stderr == ""


def test_a_slow_consumer_limits_how_far_the_inputs_are_read() -> None:
    model, taken = classifier(), []

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(300):
            taken.append(mark)
            yield frame(mark)

    for number, _ in enumerate(model.stream(inputs(), workers=2)):
        assert len(taken) <= number + 60
    assert len(taken) == 300


def test_a_slow_consumer_of_a_live_source_has_no_more_frames_waiting_than_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ov_mobilenet.runtime.scheduler.WAIT_SLICE_S", 1e-4)  # slower than this
    taken: list[int] = []

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(1000):
            taken.append(mark)
            yield frame(mark)

    results = classifier().stream(inputs(), live=True, requests=4)
    for received in range(1, 60):
        next(results)
        deadline = time.monotonic() + 5
        while len(taken) < received + 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(taken) == received + 4


def test_decoding_continues_while_the_consumer_is_busy() -> None:
    model, taken, workers = classifier(), [], 2
    capacity = default_capacity(1, default_requests(model, model.compiled(1))) + workers

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(300):
            taken.append(mark)
            yield frame(mark)

    results = model.stream(inputs(), workers=workers)
    assert is_right(0, next(results))
    deadline = time.monotonic() + 30
    while len(taken) < capacity and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(taken) >= capacity
    assert all(is_right(mark, result) for mark, result in enumerate(results, 1))


def test_a_lost_device_ends_a_stream_with_its_error() -> None:
    results = []
    with pytest.raises(DeviceError, match="stopped working"):
        frames = (frame(m) for m in range(10**6))
        for result in classifier(Behaviour(dies_after=10)).stream(frames, workers=3, requests=4):
            results.append(result)
    assert 10 - 4 <= sum(isinstance(result, Classification) for result in results) <= 10


def test_the_error_of_a_lost_device_does_not_wait_for_an_input_that_never_arrives() -> None:
    arrives = threading.Event()

    def inputs() -> Iterator[NDArray[np.uint8]]:
        yield from (frame(mark) for mark in range(10))
        arrives.wait()

    results = []
    with pytest.raises(DeviceError, match="stopped working"):
        for result in classifier(Behaviour(dies_after=0)).stream(inputs(), workers=2):
            results.append(result)
    arrives.set()
    assert len(results) == 10
    assert all(isinstance(result, Failure) for result in results)


def test_a_device_that_fails_on_a_single_image_is_an_error_of_ours() -> None:
    model = classifier(Behaviour(fails={0, 1}))
    with pytest.raises(DeviceError, match=r"CPU: the device failed \(\[GPU\] this request failed\)\. Run again, or"):
        model.classify(frame(3))
    (result,) = model.stream([frame(3)])
    assert isinstance(result, Failure)
    assert result.error == "the device failed ([GPU] this request failed)"
    assert is_right(3, model.classify(frame(3)))  # the request can be used again


def peak_growth(model: Classifier, count: int) -> int:
    """By how many bytes the peak memory of `count` inputs exceeds that of 1,000."""
    peaks = []
    tracemalloc.start()
    for inputs in (1_000, count):
        tracemalloc.reset_peak()
        frames = (frame(mark) for mark in range(inputs))
        assert sum(1 for _ in model.stream(frames, batch_size=8, requests=2, workers=2)) == inputs
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    return peaks[1] - peaks[0]


@pytest.mark.full
def test_memory_does_not_grow_with_the_number_of_inputs() -> None:
    limit = 200_000  # the smallest leak, 48 bytes of pixels per input, is 336,000 bytes
    assert peak_growth(classifier(), 8_000) < limit

    leaking = classifier()
    prepare, leaked = leaking.prepare, []

    def prepare_and_keep(item: Item) -> Prepared:
        prepared = prepare(item)
        leaked.append(prepared.frame)
        return prepared

    replace_prepare(leaking, prepare_and_keep)
    assert peak_growth(leaking, 6_000) > limit  # with a leak the test fails


def test_threads_can_share_one_classifier() -> None:
    model = classifier()
    wrong = []

    def work(start: int) -> None:
        for mark in range(start, start + 50):
            if not is_right(mark, model.classify(frame(mark))):
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_decoding_and_inference_take_turns_on_the_cpu() -> None:
    """No image is decoded while more requests run than the device has streams."""
    model = classifier()
    tally, running = model.compiled(1).model.tally, []

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(400):
            running.append(tally.running)
            yield frame(mark)

    assert all(is_right(mark, result) for mark, result in enumerate(model.stream(inputs(), workers=1)))
    assert max(running) <= 2  # streams of the simulated device
    assert tally.max_running == 16  # eight per stream


def test_a_slow_input_does_not_wait_for_a_full_turn() -> None:
    taken = threading.Semaphore(0)

    def inputs() -> Iterator[NDArray[np.uint8]]:
        for mark in range(5):
            yield frame(mark)
            assert taken.acquire(timeout=60)  # the next input arrives after the result of this one

    for mark, result in enumerate(classifier().stream(inputs(), workers=1)):
        assert is_right(mark, result)
        taken.release()
