"""Read ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import convert_file
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov

_INTEGER_OPERATIONS = ("QLinearConv", "QLinearMatMul", "QLinearAdd", "ConvInteger", "MatMulInteger")


def read_onnx(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read an ONNX file. Raises: ConversionError."""
    beside = data_files(path)
    try:
        return convert_file(path, beside)
    except ConversionError as error:
        if any(name in error.what for name in _INTEGER_OPERATIONS):
            raise ConversionError(
                "the network is quantised in ONNX's QOperator format (QLinearConv, …), which OpenVINO cannot read",
                where=path,
                expected="a float network, or one in the QDQ format (QuantizeLinear, DequantizeLinear)",
                fix="Convert the float network, then quantise it with `ov-mobilenet quantize`",
            ) from error
        raise
