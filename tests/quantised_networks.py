"""The small network of `small_networks`, quantised by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import small_networks as small

KINDS = ("qdq", "qdq per channel", "qoperator", "dynamic")


def write_quantised(folder: Path, kind: str, *, opset: int = 13, change: Callable[[Any], None] | None = None) -> Path:
    """Write a network and its description.

    Args:
        kind: one of `KINDS`.
        change: edits the quantised ModelProto.

    Returns:
        The model.yml.
    """
    import onnx
    from onnxruntime import quantization

    plain = small.write_onnx(folder / "float").with_name("small.onnx")
    model = onnx.load(plain)
    model.opset_import[0].version = opset
    onnx.save(model, plain)
    network = folder / "small.onnx"
    if kind == "dynamic":
        quantization.quantize_dynamic(plain, network)
    else:
        quantization.quantize_static(
            plain, network, CalibrationFrames(),
            quant_format=quantization.QuantFormat.QOperator if kind == "qoperator" else quantization.QuantFormat.QDQ,
            per_channel=kind == "qdq per channel",
        )  # fmt: skip
    if change is not None:
        model = onnx.load(network)
        change(model)
        onnx.save(model, network)
    return small.describe(network)


class CalibrationFrames:
    """Frames for the calibration, as onnxruntime's CalibrationDataReader gives them."""

    def __init__(self) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{"data": batch[None]} for batch in small.normalised(small.frames(24, seed=11))]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)
