"""TensorFlow Lite files, float and quantised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import run_converter
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov


def read_tflite(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a TFLite file.

    A quantised network takes uint8 pixels; its input is made float32, which holds the same values 0..255
    exactly, so that all converted models have the same kind of input.

    Raises:
        ConversionError: the file cannot be read.
    """
    import openvino as ov

    model = run_converter(path, path)
    for parameter in model.get_parameters():
        if parameter.get_element_type() in (ov.Type.u8, ov.Type.i8):
            parameter.set_element_type(ov.Type.f32)
    model.validate_nodes_and_infer_types()
    return model
