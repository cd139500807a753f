"""ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov

_INTEGER_OPERATIONS = ("QLinearConv", "QLinearMatMul", "QLinearAdd", "ConvInteger", "MatMulInteger")


def read_onnx(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read an ONNX file. Raises: ConversionError."""
    try:
        return run_converter(path, path)
    except ConversionError as error:
        if any(name in error.what for name in _INTEGER_OPERATIONS):
            raise ConversionError(
                "the network is quantised in ONNX's QOperator form (QLinearConv, …), which OpenVINO cannot read",
                where=path,
                expected="a float network, or one in QuantizeLinear/DequantizeLinear form",
                fix="Convert the float network and make it INT8 with `ov-mobilenet quantize`",
            ) from error
        raise
