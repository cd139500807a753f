"""Write the description of a network: the text of `model.yml` and `accuracy-check.yml`, as `load_config` reads them."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from msgspec import Struct

from ov_mobilenet.zoo.geometry import Crop, Geometry, Resize
from ov_mobilenet.zoo.hub_origin import UNSTATED_LICENCE
from ov_mobilenet.zoo.labels import BACKGROUND_SETS
from ov_mobilenet.zoo.model import Details, HubSource, InputInfo, ModelFile
from ov_mobilenet.zoo.normalisation import Normalisation

MARKER = "# Written by `ov-mobilenet convert --source`, which overwrites it: remove this line to keep your changes."
# A description with one of these first lines may be overwritten; the second is the line that version 0.1 wrote.
MARKERS = (
    MARKER,
    "# Written by `ov-mobilenet convert --source`, and written anew by it: remove this line to keep changes.",
)


class Description(Struct, frozen=True, kw_only=True):
    """The content of a description.

    Attributes:
        name: name of the model.
        network: path of the network, relative to the download folder.
        saved_model: whether the network is a SavedModel folder.
        architecture: architecture of a PyTorch state dict, or `LibraryNetwork.name`.
        output: name of the output tensor; None for the network's only output.
        licence: of the weights; None if it is not stated.
        comments: comment lines at the top of the file.
    """

    name: str
    framework: str
    files: tuple[ModelFile, ...]
    network: str
    saved_model: bool = False
    architecture: str | None = None
    input: InputInfo
    output: str | None = None
    normalisation: Normalisation
    geometry: Geometry
    details: Details
    licence: str | None = None
    comments: tuple[str, ...] = ()


def model_yml(description: Description) -> str:
    """The text of `model.yml`."""
    details = {
        "classes": description.details.classes,
        "output": description.details.output,
        "labels": description.details.labels,
        "weights_key": description.details.weights_key,
        "head": description.details.head,
        **msgspec.structs.asdict(description.details.settings),
        "architecture_arguments": description.details.architecture_arguments or None,
    }
    if details["labels"] not in BACKGROUND_SETS:  # those sets tell it
        details["background_class"] = description.details.background_class
    content: dict[str, Any] = {
        "description": _summary(description),
        "task_type": "classification",
        "files": [
            {
                "name": file.name,
                "size": file.size,
                "checksum": _checksum(file),
                "source": [msgspec.to_builtins(source) for source in file.sources]
                or {"$type": "file", "path": file.name},
            }
            for file in description.files
        ],
        "framework": description.framework,
    }
    if description.framework == "pytorch":
        content["conversion_to_onnx_args"] = [
            f"--model-name={description.architecture}",
            f"--weights=$dl_dir/{description.network}",
            f"--input-shape={','.join(map(str, description.input.shape))}",
            f"--input-names={description.input.name}",
            f"--output-names={description.output}",
        ]
    content["input_info"] = [
        {"name": description.input.name, "shape": list(description.input.shape), "layout": description.input.layout}
    ]
    content["model_optimizer_args"] = _arguments(description)
    content["license"] = description.licence or UNSTATED_LICENCE
    content["ov_mobilenet"] = {key: value for key, value in details.items() if value is not None}
    return _text(content, description.comments)


def _summary(description: Description) -> str:
    found = [source for file in description.files for source in file.sources if isinstance(source, HubSource)]
    if not found:
        return f"{description.name}, a network of the user's own."
    return f"{description.name}, a network of the Hugging Face repository {found[0].repository}."


def _checksum(file: ModelFile) -> str | dict[str, str] | None:
    if file.checksum is None or file.checksum.algorithm == "sha384":
        return None if file.checksum is None else file.checksum.value
    return {"$type": file.checksum.algorithm, "value": file.checksum.value}


def _arguments(description: Description) -> list[str]:
    normalisation = description.normalisation
    found = ["--reverse_input_channels"] * normalisation.reverse_input_channels
    for name, values in (("mean_values", normalisation.mean), ("scale_values", normalisation.scale)):
        if values:
            found.append(f"--{name}=[{','.join(map(repr, values))}]")
    if description.framework == "pytorch":
        return found
    if description.output is not None:
        found.append(f"--output={description.output}")
    kind = "saved_model_dir" if description.saved_model else "input_model"
    return [*found, f"--{kind}=$dl_dir/{description.network}"]


def accuracy_check_yml(description: Description) -> str:
    """The text of `accuracy-check.yml`: the geometry and the metrics, without reference values."""
    geometry = description.geometry
    steps: list[dict[str, Any]] = [_step(step) for step in geometry.steps]
    if geometry.reader == "pillow":
        steps.append({"type": "rgb_to_bgr"})
    labels = description.details.labels
    counts = [k for k in (1, 5) if k <= max(1, description.details.classes or 5)]
    content = {
        "models": [
            {
                "name": description.name,
                "launchers": [{"framework": "openvino", "adapter": "classification"}],
                "datasets": [
                    {
                        "name": labels if labels and not labels.endswith(".txt") else description.name,
                        "reader": f"{geometry.reader}_imread",
                        "preprocessing": steps,
                        "metrics": [{"name": f"accuracy@top{k}", "type": "accuracy", "top_k": k} for k in counts],
                    }
                ],
            }
        ]
    }
    return _text(content, ())


def _step(step: Resize | Crop) -> dict[str, Any]:
    size = {"dst_height": step.height, "dst_width": step.width}
    if step.height == step.width:
        size = {"size": step.height}
    if isinstance(step, Crop):
        words: dict[str, Any] = {"type": "crop", **size}
        if step.fraction is not None:
            words = {"type": "crop", "central_fraction": step.fraction}
    else:
        words = {"type": "resize", **size}
        if step.keep_aspect:
            words["aspect_ratio_scale"] = "greater"
        words["interpolation"] = "BICUBIC" if step.interpolation == "bicubic" else "BILINEAR"
    if step.library == "pillow":
        words["use_pillow"] = True
    return words


def _text(content: dict[str, Any], comments: tuple[str, ...]) -> str:
    head = "".join(f"{line}\n" for line in (MARKER, *(f"# {comment}" for comment in comments)))
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
