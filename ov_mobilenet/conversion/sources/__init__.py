"""Read a source network as an `ov.Model`, one module per framework.

The model has one input and one output with the names of the description, and no normalisation yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.keras_files.description import is_keras_file
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.model import REFUSED_FRAMEWORKS, ModelConfig

if TYPE_CHECKING:
    import openvino as ov


def network_path(config: ModelConfig, plan: ConversionPlan, download_folder: Path) -> Path:
    """The path of the source network.

    Raises:
        ConversionError: the file is missing; or as `planned_network_path`.
    """
    path = planned_network_path(config, plan, download_folder)
    if not path.exists():
        raise ConversionError("the source network does not exist", where=config.name, expected=path)
    return path


def planned_network_path(config: ModelConfig, plan: ConversionPlan, download_folder: Path) -> Path:
    """The path that the source network has after the download.

    Raises:
        ConversionError: the framework is not supported, or a script would have to create the network.
    """
    if config.framework in REFUSED_FRAMEWORKS:
        raise ConversionError(
            f"framework {config.framework} is not supported",
            where=config.path,
            fix=REFUSED_FRAMEWORKS[config.framework][:1].upper() + REFUSED_FRAMEWORKS[config.framework][1:],
        )
    if plan.source.root == "conv_dir":
        weights = [file.name for file in config.files if is_keras_file(file.name)]
        # The Open Model Zoo's scripts make a SavedModel from Keras weights; here the weights are read directly.
        if config.framework == "tf" and len(weights) == 1:
            return download_folder / weights[0]
        raise ConversionError(
            "the network is created by a script of the Open Model Zoo, and scripts of descriptions are not run",
            where=config.path,
            expected="--input_model or --saved_model_dir in $dl_dir or $config_dir",
            got=f"$conv_dir/{plan.source.path}",
        )
    root = download_folder if plan.source.root == "dl_dir" else config.folder
    return root / plan.source.path


def read_network(framework: str, plan: ConversionPlan, path: Path) -> ov.Model:
    """Read the network at `path`.

    Args:
        framework: the result of `network_framework`.

    Raises:
        ConversionError: the file is broken, OpenVINO cannot read an operation, or the description does not match.
        MissingDependencyError: the framework's package is not installed.
    """
    if framework == "keras":
        from ov_mobilenet.conversion.sources.keras import read_keras

        return read_keras(plan, path)
    if framework == "pytorch":
        from ov_mobilenet.conversion.sources.pytorch import read_pytorch

        return read_pytorch(plan, path)
    if framework == "tf":
        from ov_mobilenet.conversion.sources.tensorflow import read_tensorflow

        return read_tensorflow(plan, path)
    if framework == "tflite":
        from ov_mobilenet.conversion.sources.tflite import read_tflite

        return read_tflite(plan, path)
    if framework == "onnx":
        from ov_mobilenet.conversion.sources.onnx import read_onnx

        return read_onnx(plan, path)
    raise ConversionError(
        f"framework {framework} is not supported",
        where=path,
        expected="onnx, tf, tflite, pytorch or keras",
    )


def network_framework(config: ModelConfig, path: Path) -> str:
    """The framework of the network: as described, but `keras` for the Keras weights of a `tf` description."""
    return "keras" if config.framework == "tf" and is_keras_file(path) else config.framework
