"""Find ONNX's dynamic quantisation, which OpenVINO computes slowly and over a whole batch.

Each layer finds the range of its input, quantises it, and multiplies integers (ConvInteger, MatMulInteger). OpenVINO
2026.4 reads these as integer layers and runs them in floats: MobileNet V2 takes 154 ms instead of 30 ms for the float
network and 20 ms in the QDQ format (one thread). The range is that of all images of a batch, in onnxruntime too.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino as ov

log = logging.getLogger(__name__)

_LAYERS = ("Convolution", "GroupConvolution", "MatMul")


def warn_of_dynamic_quantisation(model: ov.Model, path: Path) -> None:
    """Log a warning if layers multiply integers."""
    integer_layers = sum(
        operation.get_type_name() in _LAYERS and not operation.get_output_element_type(0).is_real()
        for operation in model.get_ops()
    )
    if integer_layers:
        log.warning(
            "%s: %d layers are quantised dynamically (ConvInteger, MatMulInteger): OpenVINO runs them slower than the "
            "float network, and the images of a batch change each other's answers. Convert the float network, then "
            "quantise it with `ov-mobilenet quantize`", path, integer_layers,
        )  # fmt: skip
