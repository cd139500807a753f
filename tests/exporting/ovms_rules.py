"""The rules of OpenVINO Model Server, restated by hand from its documentation and sources; no server runs.

- config.json: `src/schema.cpp`; the keys that a model may have, their types, and no others; `docs/parameters.md`:
  base_path may be relative to config.json, shape wins over batch_size.
- model folders: versions are folders with a number as name, the largest is served; the IR is the file that ends in
  .xml (`src/modelinstance.cpp`, `findModelFilePathWithExtension`). A path with `..` is refused.
- image files: `src/tensor_conversion.cpp` and `docs/binary_input_layout_and_shape.md`; layout NHWC, decoded with
  IMREAD_UNCHANGED, the number of channels must be that of the input, resized (OpenCV's default, bilinear) to the input
  unless a dimension of its shape is -1; then height and width are those of the first image, and others are an error.
- KServe's REST with binary data: `docs/binary_input_kfs.md`; four bytes with the size, lowest first, before each file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov

KEYS: dict[str, tuple[type, ...]] = {
    "name": (str,), "base_path": (str,), "batch_size": (int, str), "shape": (dict, str), "layout": (dict, str),
    "nireq": (int,), "target_device": (str,), "allow_cache": (bool,), "plugin_config": (dict,),
    "model_version_policy": (dict,), "stateful": (bool,), "idle_sequence_cleanup": (bool,),
    "low_latency_transformation": (bool,), "max_sequence_number": (int,), "custom_loader_options": (dict,),
}  # fmt: skip
LISTS = {
    "model_config_list", "custom_loader_config_list", "pipeline_config_list", "mediapipe_config_list",
    "custom_node_library_config_list", "monitoring",
}  # fmt: skip


class Refused(Exception):
    """The server's error, by the name of its status code."""


def check_config(document: Any) -> None:
    """Refuse what the server's schema refuses."""
    if not isinstance(document, dict) or "model_config_list" not in document or set(document) - LISTS:
        raise Refused("JSON_INVALID: top level")
    for item in document["model_config_list"]:
        if set(item) != {"config"}:
            raise Refused("JSON_INVALID: model_config_list")
        config = item["config"]
        if not {"name", "base_path"} <= set(config) or set(config) - set(KEYS):
            raise Refused(f"JSON_INVALID: keys {sorted(config)}")
        for key, value in config.items():
            wrong_bool = isinstance(value, bool) and bool not in KEYS[key]
            if not isinstance(value, KEYS[key]) or wrong_bool or (isinstance(value, int) and value < 0):
                raise Refused(f"JSON_INVALID: {key}")
        # Releases before 2023 accept only text here (`parsePluginConfig`).
        if not all(isinstance(value, str) for value in config.get("plugin_config", {}).values()):
            raise Refused("PLUGIN_CONFIG_WRONG_FORMAT")
        if not set(config.get("model_version_policy", {"all": {}})) <= {"all", "latest", "specific"}:
            raise Refused("JSON_INVALID: model_version_policy")


class Replay:
    """A server that has read a config.json, computing at f32 on the CPU."""

    def __init__(self, config: Path) -> None:
        document = json.loads(config.read_text("utf-8"))
        check_config(document)
        items = (item["config"] for item in document["model_config_list"])
        self.models = {one["name"]: _load(config.parent, one) for one in items}
        self._compiled: dict[str, Any] = {}

    def infer(self, name: str, files: Sequence[bytes]) -> np.ndarray:
        """The output of a request with image files."""
        model = self.models[name]
        tensor = image_tensor(model.inputs[0].get_partial_shape(), files)
        if name not in self._compiled:
            self._compiled[name] = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.array(self._compiled[name](tensor)[0])


def _load(root: Path, config: dict[str, Any]) -> ov.Model:
    base = Path(config["base_path"])
    if ".." in base.parts:
        raise Refused("PATH_INVALID")
    versions = [path for path in (root / base).iterdir() if path.is_dir() and re.fullmatch("[1-9][0-9]*", path.name)]
    folder = max(versions, key=lambda path: int(path.name))
    (xml,) = (path for path in folder.iterdir() if path.name.endswith(".xml"))
    model = ov.Core().read_model(xml)
    (parameter,) = model.get_parameters()
    assert str(parameter.layout) == "[N,H,W,C]", "the server takes the layout of the IR"
    # `applyLayoutConfiguration`: a layout without a colon is that of the tensor and of the network.
    processor = ov.preprocess.PrePostProcessor(model)
    processor.input().tensor().set_layout(ov.Layout(config["layout"]))
    processor.input().model().set_layout(ov.Layout(config["layout"]))
    model = processor.build()
    if "shape" in config:
        found = re.fullmatch(r"\(([-0-9:,]+)\)", config["shape"])
        if found is None:
            raise Refused("SHAPE_WRONG_FORMAT")
        sizes = [size.replace(":", "..") for size in found[1].split(",")]
        shape = ov.PartialShape(f"[{','.join(sizes)}]")
        if shape != model.inputs[0].get_partial_shape():
            model.reshape(shape)
    elif "batch_size" in config:
        ov.set_batch(model, int(config["batch_size"]))
    return model


def image_tensor(shape: ov.PartialShape, files: Sequence[bytes]) -> np.ndarray:
    """What the server makes of image files for an input of this shape: NHWC, uint8."""
    if not _matches(shape[0], len(files)):
        raise Refused("INVALID_BATCH_SIZE")
    resizes = not any(_is_any(size) for size in shape)
    images: list[np.ndarray] = []
    height, width = 0, 0
    for data in files:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise Refused("IMAGE_PARSING_FAILED")
        if images and not resizes and image.shape[:2] != images[0].shape[:2]:
            raise Refused("BINARY_IMAGES_RESOLUTION_MISMATCH")
        if not _matches(shape[3], 1 if image.ndim == 2 else image.shape[2]):
            raise Refused("INVALID_NO_OF_CHANNELS")
        if not images:
            height, width = (_target(shape[axis], image.shape[axis - 1]) for axis in (1, 2))
        if image.dtype != np.uint8:
            image = np.clip(np.rint(image.astype(np.float64)), 0, 255).astype(np.uint8)
        if image.shape[:2] != (height, width):
            if not resizes:
                raise Refused("INVALID_SHAPE")
            image = cv2.resize(image, (width, height))
        images.append(image)
    return np.stack(images)


def _is_any(size: ov.Dimension) -> bool:
    """Whether a dimension is -1; a range has an upper limit."""
    return bool(size.is_dynamic and size.get_max_length() < 0)


def _matches(size: ov.Dimension, length: int) -> bool:
    return _is_any(size) or size.get_min_length() <= length <= size.get_max_length()


def _target(size: ov.Dimension, length: int) -> int:
    if _is_any(size):
        return length
    nearest: int = min(max(length, size.get_min_length()), size.get_max_length())
    return nearest


def files_in_body(body: bytes, header_bytes: int) -> tuple[dict[str, Any], list[bytes]]:
    """The JSON object, and the image files, of a REST request with binary data."""
    document = json.loads(body[:header_bytes])
    rest, files = body[header_bytes:], []
    (tensor,) = document["inputs"]
    assert tensor["parameters"]["binary_data_size"] == len(rest)
    while rest:
        size = int.from_bytes(rest[:4], "little")
        files.append(rest[4 : 4 + size])
        assert len(files[-1]) == size
        rest = rest[4 + size :]
    assert tensor["datatype"] == "BYTES"
    assert tensor["shape"] == [len(files)]
    return document, files
