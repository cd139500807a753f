"""Calls that crashed or hung: arrays larger than their memory, frames of a wrong size, a forked process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.errors import ImageError


def test_numbers_of_numpy_are_numbers(known: Known) -> None:
    classifier = ovm.load_classifier(known.xml, device="CPU")
    assert len(classifier.classify(known.frames[0], top_k=np.int64(3)).top_k) == 3


# Arrays


@pytest.mark.parametrize("size", [(200_000, 200_000), (1, 10**12), (14_000, 14_000)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_array_larger_than_its_memory_is_refused_before_it_is_read(
    size: tuple[int, int], dtype: Any, known: Known
) -> None:
    classifier = ovm.load_classifier(known.xml, device="CPU")
    frame = np.broadcast_to(dtype(0), (*size, 3))
    with pytest.raises(ImageError, match="the frame is too large: expected at most 178956970 pixels, got"):
        classifier.classify(frame)
    with pytest.raises(ImageError, match="the frame is too large"):
        classifier.probabilities(frame[None])
    (failure, _) = classifier.stream([frame, known.frames[0]])
    assert isinstance(failure, ovm.Failure)
    assert "the frame is too large" in failure.error
    with pytest.raises(ImageError, match="the array is too large: expected at most 4294967296 bytes at once"):
        classifier.probabilities(np.broadcast_to(np.uint8(0), (10**9, 32, 32, 3)))


@pytest.mark.parametrize("shape", [(2, 31, 32, 3), (1, 1, 1, 3), (1, 32, 64, 3)])
def test_frames_of_another_size_are_errors_of_ours(shape: tuple[int, ...], known: Known) -> None:
    classifier = ovm.load_classifier(known.xml, device="CPU")
    expected = f"expected 32x32, got {shape[1]}x{shape[2]}"
    with pytest.raises(ImageError, match=f"the frames do not have the network's input size: {expected}"):
        classifier.probabilities(np.zeros(shape, np.uint8))
    assert classifier.probabilities(known.frames).shape == (12, 8)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("use", ["stream", "one", "classify", "probabilities", "suspended", "queue", "submit"])
def test_a_model_in_a_forked_child_fails_at_once(use: str, known: Known) -> None:
    classifier = ovm.load_classifier(known.xml, device="CPU")
    frame, frames = known.frames[0], list(known.frames) * 20
    suspended = classifier.stream(frames)
    next(suspended)
    queue = ovm.InferQueue(classifier)
    calls: dict[str, Callable[[], object]] = {
        "stream": lambda: list(classifier.stream(frames)),
        "one": lambda: list(classifier.stream([frame])),
        "classify": lambda: classifier.classify(frame),
        "probabilities": lambda: classifier.probabilities(known.frames),
        "suspended": lambda: next(suspended),
        "queue": lambda: next(queue),
        "submit": lambda: queue.submit(frame),
    }
    receiver, sender = multiprocessing.get_context("fork").Pipe()

    def child() -> None:
        try:
            calls[use]()
            sender.send("no error")
        except BaseException as error:  # noqa: BLE001 (sent to the parent)
            sender.send(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    assert receiver.poll(30), "the child hangs"
    message = receiver.recv()
    process.join(30)
    assert process.exitcode == 0
    assert message.startswith("UsageError: the model was loaded before this process was forked")
    assert len(list(suspended)) == len(frames) - 1, "the parent is not affected"
