"""Read TensorFlow frozen graphs and SavedModels, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.sources.frontend import convert_file
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import openvino as ov


def read_tensorflow(plan: ConversionPlan, path: Path) -> ov.Model:
    """Read a frozen graph (`.pb`) or a SavedModel folder. Raises: ConversionError."""
    if path.is_dir() != plan.source.folder:
        raise ConversionError(
            "the kind of the source network differs from the description",
            where=path,
            expected="a SavedModel folder" if plan.source.folder else "a frozen graph file",
            got="a folder" if path.is_dir() else "a file",
        )
    try:
        return convert_file(path)
    except ConversionError as error:
        if path.is_dir():
            raise ConversionError(
                error.what, where=path,
                fix="If it is a Keras model, write it with model.export(FOLDER) instead of tf.saved_model.save",
            ) from error  # fmt: skip
        raise
