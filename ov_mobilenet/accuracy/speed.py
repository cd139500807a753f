"""Throughput and latency of a network on frames in memory: reading, decoding and resizing are not measured."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeviceError, UsageError
from ov_mobilenet.images.load_image import load_image
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Prepared

WARM_UP = 0.1  # fraction of the measuring time


def read_frame(file: Path, geometry: Geometry | None, reader: Library) -> Frame:
    """Read an image and bring it to the network's size, with exact pixels. Raises: ImageError."""
    return load_image(file, geometry, "exact", reader=reader, exif_orientation=False).frame


def one_by_one(answer: Callable[[Frame], object], frames: list[Frame], seconds: float) -> tuple[float, float]:
    """Run one image after another for `seconds`; return images per second and the median latency in ms."""

    def latencies(duration: float) -> list[float]:
        found: list[float] = []
        begun = perf_counter()
        for frame in cycle(frames):
            before = perf_counter()
            answer(frame)
            done = perf_counter()
            found.append(done - before)
            if done - begun >= duration:
                break
        return found

    latencies(seconds * WARM_UP)
    found = latencies(seconds)
    return len(found) / sum(found), statistics.median(found) * 1e3


def through_queue(classifier: Classifier, files: list[Path], seconds: float) -> float:
    """Run images through an `InferQueue` for `seconds`; return images per second.

    Raises:
        DeviceError: the device failed.
        ImageError: an image cannot be read.
    """
    prepared = [classifier.prepare(Item(file, str(file))) for file in files]
    _run(classifier, prepared, seconds * WARM_UP)
    return _run(classifier, prepared, seconds)


def _run(classifier: Classifier, prepared: list[Prepared], seconds: float) -> float:
    queue = InferQueue(classifier, ordered=False)
    begun = perf_counter()

    def feed() -> None:
        try:
            for image in cycle(prepared):
                queue.submit_prepared(image)
                if perf_counter() - begun >= seconds:
                    break
        except (DeviceError, UsageError):
            pass  # the iterator of results raises it
        finally:
            queue.close()

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    count = sum(1 for _ in queue)
    elapsed = perf_counter() - begun
    thread.join()
    return count / elapsed
