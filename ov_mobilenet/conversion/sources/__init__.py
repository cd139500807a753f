"""Read a source network into an `ov.Model`, one module per framework.

What comes out has one input and one output, carries the description's names, and is not yet normalised.
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
    """Where the source network lies on disk.

    Raises:
        ConversionError: the framework is refused, or the network would have to be made by a script first.
    """
    if config.framework in REFUSED_FRAMEWORKS:
        raise ConversionError(
            f"framework {config.framework} is not converted here",
            where=config.path,
            fix=REFUSED_FRAMEWORKS[config.framework][:1].upper() + REFUSED_FRAMEWORKS[config.framework][1:],
        )
    if plan.source.root == "conv_dir":
        weights = [file.name for file in config.files if is_keras_file(file.name)]
        # The Open Model Zoo's scripts for these make a SavedModel of the weights; here they are read directly.
        if config.framework == "tf" and len(weights) == 1:
            return _there(config, download_folder / weights[0])
        raise ConversionError(
            "the network is made by a script of the Open Model Zoo, and scripts of a description are not run",
            where=config.path,
            expected="--input_model or --saved_model_dir in $dl_dir or $config_dir",
            got=f"$conv_dir/{plan.source.path}",
        )
    root = download_folder if plan.source.root == "dl_dir" else config.folder
    return _there(config, root / plan.source.path)


def _there(config: ModelConfig, path: Path) -> Path:
    if not path.exists():
        raise ConversionError("the source network is not there", where=config.name, expected=path, got="nothing")
    return path


def read_network(framework: str, plan: ConversionPlan, path: Path) -> ov.Model:
    """Read the network at `path`.

    Args:
        framework: as `network_framework` tells it.

    Raises:
        ConversionError: the file is broken, uses what OpenVINO cannot read, or does not fit the description.
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
        f"framework {framework} is not converted yet",
        where=path,
        expected="onnx, tf, tflite, pytorch or keras",
    )


def network_framework(config: ModelConfig, path: Path) -> str:
    """The framework that reads the network: the description's, but Keras for the Keras weights of a `tf` one."""
    return "keras" if config.framework == "tf" and is_keras_file(path) else config.framework
