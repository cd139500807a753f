"""A MobileNet V4 with random weights: a torch module, our IRs and ONNX files, both FP32 and INT8."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from images import folder_of_images

import ov_mobilenet as ovm
from ov_mobilenet.conversion.library_networks import build_library_network
from ov_mobilenet.zoo.library_network import LibraryNetwork

MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CLASSES = 1000
CALIBRATION_IMAGES = 60
_DESCRIPTION = """\
description: {architecture} with random weights
task_type: classification
files:
  - {{name: model.safetensors, size: {bytes}, sha256: {digest}, source: {{$type: file, path: model.safetensors}}}}
framework: pytorch
conversion_to_onnx_args:
  - --model-name=timm/{architecture}
  - --weights=$dl_dir/model.safetensors
  - --input-shape=1,3,{side},{side}
  - --input-names=data
  - --output-names=prob
  - --output-file=$conv_dir/network.onnx
input_info: [{{name: data, shape: [1, 3, {side}, {side}], layout: NCHW}}]
model_optimizer_args:
  - --mean_values=data[{mean}]
  - --scale_values=data[{scale}]
  - --reverse_input_channels
  - --output=prob
  - --input_model=$conv_dir/network.onnx
license: Apache-2.0
ov_mobilenet: {{classes: {classes}, output: logits}}
"""


def random_network(architecture: str, side: int) -> torch.nn.Module:
    """The module with random weights; batch norms with the statistics of noise keep activations in range."""
    torch.manual_seed(0)
    network = LibraryNetwork(library="timm", architecture=architecture, classes=CLASSES)
    module = build_library_network(network, (side, side))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches, that is, the statistics of this one
    with torch.no_grad():
        module.train()(torch.randn(8, 3, side, side))
    return module.eval()


def converted(module: torch.nn.Module, architecture: str, side: int, folder: Path) -> tuple[Path, Path]:
    """Our FP32 IR, which takes raw pixels (N, H, W, 3), and the INT8 IR that `quantize` makes of it."""
    from safetensors.torch import save_file

    source = folder / architecture
    source.mkdir()
    save_file(module.state_dict(), source / "model.safetensors")
    weights = (source / "model.safetensors").read_bytes()
    mean, scale = (",".join(map(str, values)) for values in (MEAN, SCALE))
    text = _DESCRIPTION.format(
        bytes=len(weights), digest=hashlib.sha256(weights).hexdigest(), architecture=architecture, side=side,
        mean=mean, scale=scale, classes=CLASSES,
    )  # fmt: skip
    (source / "model.yml").write_text(text, "utf-8")
    form = ovm.Form(layout="NHWC", input_type="u8")
    (ir,) = ovm.convert(source / "model.yml", folder / "ir", precisions=["FP32"], form=form, cache_dir=folder / "cache")
    folder_of_images(folder / "images", CALIBRATION_IMAGES)
    int8 = ovm.quantize(ir.xml, folder / "images", folder / "int8.xml")
    return ir.xml, int8.model.xml


def exported(module: torch.nn.Module, side: int, folder: Path) -> tuple[Path, Path]:
    """ONNX files of the module with any number of images: FP32, and QDQ with INT8 weights for each channel."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Noise(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            random = np.random.default_rng(0)
            self.left = [random.normal(size=(1, 3, side, side)).astype(np.float32) for _ in range(16)]

        def get_next(self) -> dict[str, Any] | None:
            return {"data": self.left.pop()} if self.left else None

    float_path, prepared, int8_path = (folder / f"{name}.onnx" for name in ("float", "prepared", "int8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by torch.export would need another package
        torch.onnx.export(
            module, (torch.zeros(1, 3, side, side),), str(float_path), dynamo=False, input_names=["data"],
            output_names=["logits"], dynamic_axes={"data": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    quant_pre_process(str(float_path), str(prepared))
    quantize_static(
        str(prepared), str(int8_path), Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return float_path, int8_path
