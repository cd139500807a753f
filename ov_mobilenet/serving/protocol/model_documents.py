"""What clients can read about the server and a model: metadata and configuration; one document for both transports.

https://github.com/kserve/open-inference-protocol and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ov_mobilenet._version import __version__

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.serving.models.served_model import ServedModel
    from ov_mobilenet.serving.settings import ServerSettings

PLATFORM = "openvino"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")

# Fields of the record that say how to feed the model and how to read its output. Left out: where the weights come from
# and how they were calibrated and measured, which may name private files, repositories and datasets.
_PUBLIC_FIELDS = (
    "normalisation", "geometry", "geometry_baked", "channel_order", "color_format", "background_class", "labels",
    "output_kind", "precision", "versions",
)  # fmt: skip


def server_metadata() -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "ov-mobilenet", "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(model: ServedModel) -> dict[str, Any]:
    """`GET /v2/models/NAME`; `rt_info` is not part of the protocol, Model API's `OVMSAdapter` needs it."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": PLATFORM,
        "inputs": [{"name": model.input_name, "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [{"name": model.output_name, "datatype": "FP32", "shape": [-1, model.classifier.classes]}],
        "rt_info": rt_info(model.classifier),
    }


def rt_info(classifier: Classifier) -> dict[str, dict[str, str]]:
    """The sections `model_info` and, from the record of ov-mobilenet, `ov_mobilenet`; see `ir.record` for both.

    `model_info` is complete also for an IR of another tool, and its labels are those of the answers.
    """
    model_info = {"model_type": "Classification", **classifier.model_info}
    if classifier.labels:
        model_info["labels"] = " ".join("_".join(label.split()) for label in classifier.labels)
    sections = {"model_info": model_info}
    if classifier.record is not None:
        facts = msgspec.to_builtins(classifier.record)
        sections["ov_mobilenet"] = {
            name: value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
            for name, value in facts.items()
            if name in _PUBLIC_FIELDS
        }
    return sections


def model_config(model: ServedModel, settings: ServerSettings) -> dict[str, Any]:
    """`GET /v2/models/NAME/config`, with the fields of the message `inference.ModelConfig`.

    As `max_batch_size` is above 0, `dims` do not contain the number of images.
    """
    kind = {"CPU": "KIND_CPU", "GPU": "KIND_GPU"}.get(model.classifier.device.split(".")[0], "KIND_AUTO")
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": settings.max_images,
        "input": [
            {"name": model.input_name, "data_type": "TYPE_UINT8", "format": "FORMAT_NHWC", "dims": [-1, -1, 3]}
        ],
        "output": [{"name": model.output_name, "data_type": "TYPE_FP32", "dims": [model.classifier.classes]}],
        "instance_group": [{"name": f"{model.name}_0", "kind": kind, "count": model.queue.requests}],
        "dynamic_batching": {
            "preferred_batch_size": [model.queue.batch_size],
            "max_queue_delay_microseconds": round(settings.max_wait_ms * 1000),
        },
    }  # fmt: skip
