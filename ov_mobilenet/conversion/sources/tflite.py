"""Read TensorFlow Lite files, float and quantised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import convert_file
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov


def read_tflite(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a TFLite file; a quantised network keeps its integer input. Raises: ConversionError."""
    return convert_file(path)
