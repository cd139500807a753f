"""Read ONNX files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import convert_file
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.conversion.sources.onnx_quantisation import is_quantised_per_channel
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov

# QLinearConv of ONNX, QLinearAdd and QGemm of onnxruntime. OpenVINO reads ConvInteger and MatMulInteger.
_INTEGER_OPERATION = re.compile(r"\b(QLinear\w+|QGemm)\b")
_DEQUANTIZE_LINEAR = re.compile(r"\bDequantizeLinear-(\d+)")
# Since this version of ONNX's operators, QuantizeLinear and DequantizeLinear have an axis.
_PER_CHANNEL_OPSET = 13


def read_onnx(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read an ONNX file. Raises: ConversionError."""
    beside = data_files(path)
    try:
        return convert_file(path, beside)
    except ConversionError as error:
        if integer := _INTEGER_OPERATION.search(error.what):
            raise ConversionError(
                f"the network is quantised in ONNX's QOperator format ({integer[1]}, …), which OpenVINO cannot read",
                where=path,
                expected="a float network, or one in the QDQ format (QuantizeLinear, DequantizeLinear)",
                fix="Convert the float network, then quantise it with `ov-mobilenet quantize`",
            ) from error
        opset = _DEQUANTIZE_LINEAR.search(error.what)
        if opset and int(opset[1]) < _PER_CHANNEL_OPSET and is_quantised_per_channel(path):
            raise ConversionError(
                f"the network is quantised per channel, which ONNX's operators (opset) have since version "
                f"{_PER_CHANNEL_OPSET}; onnxruntime's quantiser writes such files, OpenVINO cannot read them",
                where=path, expected=f"opset {_PER_CHANNEL_OPSET} or newer", got=f"opset {opset[1]}",
                fix="Export and quantise the network again with that opset, or raise the opset of this file: "
                f"onnx.version_converter.convert_version(model, {_PER_CHANNEL_OPSET})",
            ) from error  # fmt: skip
        raise
