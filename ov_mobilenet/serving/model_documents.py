"""What clients can read about the server and a model: metadata, configuration, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ov_mobilenet._version import __version__

if TYPE_CHECKING:
    from ov_mobilenet.serving.served_model import ServedModel

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


def server_metadata() -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "ov-mobilenet", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(model: ServedModel) -> dict[str, Any]:
    """`GET /v2/models/NAME`."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "openvino",
        "inputs": [{"name": model.input_name, "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [{"name": model.output_name, "datatype": "FP32", "shape": [-1, model.classifier.classes]}],
        "rt_info": {},
    }
