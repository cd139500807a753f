"""Compile a small network for the real CPU or for simulated devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from fake_device import FakeCore

from ov_mobilenet.devices.compile import Compiled, compile_model
from ov_mobilenet.devices.settings import DeviceSettings


def network(*shape: int) -> ov.Model:
    """Softmax over all values of an input of this shape, by default (1, 3, 8, 8)."""
    frame = ops.parameter(list(shape or (1, 3, 8, 8)), np.float32, name="frame")
    return ov.Model([ops.softmax(ops.reshape(frame, [0, -1], True), 1)], [frame], "network")


def on_cpu(device: str = "CPU", **settings: Any) -> Compiled:
    """The network, compiled by OpenVINO."""
    return compile_model(network(), DeviceSettings(device=device, **settings))


def on_fakes(device: str, model: ov.Model | None = None, *, core: FakeCore | None = None, **settings: Any) -> Compiled:
    """A model compiled for simulated devices, without a model cache unless one is given."""
    settings.setdefault("model_cache", "off")
    return compile_model(model or network(), DeviceSettings(device=device, **settings), core=core or FakeCore())
