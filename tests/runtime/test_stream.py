"""The pipeline: files and frames in, ordered results out, whatever fails on the way."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_classifier import classifier, frame, right
from fake_device import Behaviour
from PIL import Image

from ov_mobilenet.errors import DeviceError, MissingDependencyError, UsageError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.infer_queue import default_capacity
from ov_mobilenet.runtime.results import Classification, Failure
from ov_mobilenet.runtime.stream import default_requests


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """A test that hangs ends the run and shows where every thread stood."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def images(folder: Path, count: int) -> list[Path]:
    files = []
    for mark in range(count):
        files.append(folder / f"{mark:03}.png")
        Image.fromarray(frame(mark)[:, :, ::-1]).save(files[-1])
    return files


def test_a_stream_keeps_the_order_and_survives_bad_images(tmp_path: Path) -> None:
    files = images(tmp_path, 60)
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
    (bad,) = images(tmp_path, 1)
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
    room = default_capacity(1, default_requests(model, model.compiled(1))) + workers
    full = threading.Event()

    def inputs() -> Iterator[np.ndarray | bytes]:
        yield b"needs what is missing"
        for mark in range(1000):
            if mark == room - 2:  # the other thread went on, and this is the last that there is room for
                full.set()
            yield frame(mark)

    def prepare(item: Any) -> Any:
        if isinstance(item.image, bytes):
            full.wait()
            raise MissingDependencyError("OpenCV cannot be imported")
        return real(model, item)

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
        frames = (frame(m % 256) for m in range(10**6))
        for result in classifier(Behaviour(dies_after=10)).stream(frames, workers=3, requests=4):
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


def test_decoding_and_the_cpu_take_turns() -> None:
    """No image is decoded while more requests run than the device works on."""
    model = classifier()
    tally, busy = model.compiled(1).model.tally, []

    def inputs() -> Iterator[np.ndarray]:
        for mark in range(400):
            busy.append(tally.running)
            yield frame(mark)

    assert all(right(mark, result) for mark, result in enumerate(model.stream(inputs(), workers=1)))
    assert max(busy) <= 2  # streams of the fake
    assert tally.max_running == 16  # eight a stream


def test_inputs_that_come_slowly_are_not_gathered_for_ever() -> None:
    taken = threading.Semaphore(0)

    def inputs() -> Iterator[np.ndarray]:
        for mark in range(5):
            yield frame(mark)
            assert taken.acquire(timeout=60)  # the next one comes only after this one's result

    for mark, result in enumerate(classifier().stream(inputs(), workers=1)):
        assert right(mark, result)
        taken.release()
