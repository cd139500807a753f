"""`ModelDescription`: a served model for the live page: how it runs, and what is baked into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.serving.models.served_model import ServedModel

UNKNOWN = "not recorded in the IR"


class ModelDescription(Struct, frozen=True, omit_defaults=True):
    """A model of `GET /v1/models`; of one that is not ready, only the name.

    Attributes:
        input, output: names of the tensors.
        classes: number of classes of the network.
        facts: texts by name, in the order to show.
    """

    name: str
    version: str = ""
    input: str = ""
    output: str = ""
    classes: int = 0
    input_size: tuple[int, int] | None = None
    facts: dict[str, str] = {}


def describe_model(name: str, served: ServedModel | None) -> ModelDescription:
    """The description of a model.

    Args:
        served: None if the model is not ready.
    """
    if served is None:
        return ModelDescription(name)
    classifier = served.classifier
    size = classifier.input_size
    facts = {
        "Device": classifier.device,
        "Inference precision": classifier.inference_precision or "not reported by the device",
        "Batch size": str(served.queue.batch_size),
        "Input size": "any" if size is None else f"{size[0]} × {size[1]} pixels",
        "Classes": str(classifier.classes) + (" (multi-label)" if classifier.output_kind == "multilabel" else ""),
        "Geometry": "in the graph" if classifier.geometry is None else str(classifier.geometry),
        **_baked(classifier.record),
    }
    return ModelDescription(
        name, served.version, served.input_name, served.output_name, classifier.classes, size, facts
    )  # fmt: skip


def _baked(record: IrRecord | None) -> dict[str, str]:
    if record is None:
        return {"Normalisation": UNKNOWN}
    facts = {
        "Normalisation": str(record.normalisation),
        "Channel order": record.channel_order,
        "Weight precision": record.precision,
        "Description": record.config_name,
        # OpenVINO's version continues with its build: 2026.4.1-22982-e213a147257-releases/2026/4
        "Converted by": ", ".join(
            f"{name.replace('_', '-')} {version.partition('-')[0]}" for name, version in record.versions.items()
        ),
    }
    if record.background_class is not None:
        facts["Background class"] = str(record.background_class)
    if record.color_format not in ("bgr", "rgb"):
        facts["Colour format"] = record.color_format.upper()
    if record.origin is not None:
        licence = record.origin.license or "licence not stated"
        facts["Origin"] = f"{record.origin.repository} at {record.origin.revision[:12]} ({licence})"
    return facts
