"""A classifier on a simulated device, and frames whose correct class is known."""

from __future__ import annotations

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from fake_device import CPU, Behaviour, FakeCompiledModel
from numpy.typing import NDArray

from ov_mobilenet.devices.compile import Compiled
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.results import Classification, Failure, Result
from ov_mobilenet.zoo.geometry import parse_geometry

SIDE, CLASSES = 4, 8


def fake(batch: int, behaviour: Behaviour, requests: int = 2) -> Compiled:
    """A compiled model with `requests` streams for frames of (SIDE, SIDE, 3)."""
    parameter = ops.parameter([batch, SIDE, SIDE, 3], ov.Type.u8)
    row = ops.reduce_mean(ops.convert(parameter, "f32"), np.array([1, 2, 3]))
    network = ov.Model([ops.result(ops.matmul(ops.reshape(row, [batch, 1], False), np.ones((1, CLASSES), np.float32),
                                              False, False))], [parameter], "fake")  # fmt: skip
    values = {"CPU": {**CPU.writable, "NUM_STREAMS": requests, "OPTIMAL_NUMBER_OF_INFER_REQUESTS": requests}}
    compiled = FakeCompiledModel(network, "CPU", values, behaviour)
    return Compiled(compiled, "CPU", "f32", requests, requests, None, {})


def classifier(
    behaviour: Behaviour = Behaviour(),  # noqa: B008
    batch: int = 1,
    *,
    stream_batch: int | None = None,
) -> Classifier:
    return Classifier(
        fake(batch, behaviour), geometry=parse_geometry(f"resize {SIDE}"), labels=None, record=None,
        compile_batch=lambda size: fake(size, behaviour), stream_batch=stream_batch,
    )  # fmt: skip


def frame(mark: int) -> NDArray[np.uint8]:
    """A frame with `mark` modulo 256 in its first byte; the simulated device returns that modulo CLASSES as class."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[0, 0, 0] = mark % 256
    return pixels


def classified(result: Result) -> Classification:
    assert isinstance(result, Classification), result.error
    return result


def failed(result: Result) -> Failure:
    assert isinstance(result, Failure)
    return result


def is_right(mark: object, result: object) -> bool:
    """Whether the result is the correct class of `frame(mark)`."""
    return isinstance(result, Classification) and result.best.class_id == int(str(mark)) % CLASSES
