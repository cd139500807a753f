"""A classifier on a simulated device, whose requests take no time or a fixed time, without any computation.

It takes the place of OpenVINO's compiled model below `Classifier`, so that a bench measures only what the package does
around inference. The requests hold real tensors; waiting for a request sleeps until it ends.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from report import SEED

from ov_mobilenet.devices.compile import Compiled
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.zoo.geometry import parse_geometry

CLASSES = 1000


@dataclass(frozen=True)
class Device:
    """A simulated device.

    Attributes:
        name: as OpenVINO names it; decoding and inference take turns on `CPU` only.
        streams: number of requests that run in parallel.
        service_s: duration of a request in seconds.
        side: height and width of the frames, in pixels.
    """

    name: str = "CPU"
    streams: int = 2
    service_s: float = 0.0
    side: int = 32


class SimulatedRequest:
    """`ov.InferRequest`, as far as the package uses it."""

    def __init__(self, network: ov.Model, device: Device, free_at: list[float]) -> None:
        """Create it with its tensors.

        Args:
            free_at: when each stream is free again, in seconds of `monotonic`; shared by all requests.
        """
        self._input = ov.Tensor(network.inputs[0].get_element_type(), network.inputs[0].get_shape())
        scores = np.random.default_rng(SEED).random(tuple(network.outputs[0].get_shape()), np.float32) ** 8
        self._output = ov.Tensor(scores / scores.sum(1, keepdims=True))
        self._service_s = device.service_s
        self._free_at = free_at
        self._ends = 0.0

    @property
    def latency(self) -> float:
        """Duration of a run in milliseconds."""
        return self._service_s * 1e3

    def set_input_tensor(self, *arguments: Any) -> None:
        """`(tensor)` or `(index, tensor)`."""
        self._input = arguments[-1]

    def get_input_tensor(self, index: int = 0) -> ov.Tensor:
        """The input."""
        return self._input

    def get_output_tensor(self, index: int = 0) -> ov.Tensor:
        """The same probabilities in each run."""
        return self._output

    def start_async(self, *arguments: Any, **options: Any) -> None:
        """Begin on the stream that is free first."""
        if self._service_s:
            stream = self._free_at.index(min(self._free_at))
            self._ends = max(time.monotonic(), self._free_at[stream]) + self._service_s
            self._free_at[stream] = self._ends

    def wait_for(self, timeout: int) -> bool:
        """Whether the request ends within `timeout` milliseconds; sleeps for so long at most."""
        if not self._service_s:
            return True
        left = self._ends - time.monotonic()
        if left > 0:
            time.sleep(min(left, timeout / 1e3))
        return self._ends <= time.monotonic()

    def wait(self) -> None:
        """Sleep until the request ends."""
        while not self.wait_for(1000):
            pass

    def cancel(self) -> None:
        """End at once."""
        self._ends = 0.0

    def infer(self, *arguments: Any, **options: Any) -> None:
        """Start and wait."""
        self.start_async()
        self.wait()


def simulated_classifier(device: Device, kind: type[Classifier] = Classifier) -> Classifier:
    """A classifier of 1000 named classes on this device; its geometry is V2's, scaled to the frames' size."""
    resized = device.side * 256 // 224

    def compiled(batch: int) -> Compiled:
        network = _network(batch, device.side)
        free_at = [0.0] * device.streams
        model = SimpleNamespace(
            inputs=network.inputs,
            outputs=network.outputs,
            create_infer_request=lambda: SimulatedRequest(network, device, free_at),
        )
        return Compiled(model, device.name, "f32", device.streams, device.streams, None, {})

    return kind(
        compiled(1),
        geometry=parse_geometry(f"resize {resized} greater pillow, crop {device.side}"),
        labels=tuple(f"class name {number}" for number in range(CLASSES)),
        record=None,
        compile_batch=compiled,
    )


def _network(batch: int, side: int) -> ov.Model:
    """A network with the right shapes; it is never run."""
    pixels = ops.parameter([batch, side, side, 3], ov.Type.u8)
    mean = ops.reshape(ops.reduce_mean(ops.convert(pixels, "f32"), np.array([1, 2, 3])), [batch, 1], False)
    scores = ops.matmul(mean, np.ones((1, CLASSES), np.float32), False, False)
    return ov.Model([ops.result(scores)], [pixels], "simulated")
