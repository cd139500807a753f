"""The networks that readers of the pages bring: small ones, made for the sample images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from batch_norm_networks import TRAINED, colour_images, save_images, write_network
from page_blocks import ROOT
from PIL import Image
from small_networks import write_onnx
from tflite_files import metadata, with_metadata

if TYPE_CHECKING:
    import torch

SAMPLE = ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs"
SAMPLE_IMAGES = sorted(SAMPLE.glob("samples/*.jpg"))


def own_labels(folder: Path) -> None:
    """`labels.txt`: the classes of the sample model, which all these networks but `small.onnx` have."""
    shutil.copy(SAMPLE / "labels.txt", folder / "labels.txt")


def own_onnx(folder: Path) -> None:
    """`mine.onnx`: the network of the sample model under another name."""
    shutil.copy(SAMPLE / "road-signs.onnx", folder / "mine.onnx")


def own_tflite(folder: Path) -> None:
    """`mine.tflite`: the same network, with TFLite Metadata."""
    labels = {"labels.txt": (SAMPLE / "labels.txt").read_bytes()}
    plain = ROOT / "tests" / "data" / "signs" / "road-signs.tflite"
    content = metadata(labels=(("labels.txt", None),))
    (folder / "mine.tflite").write_bytes(with_metadata(plain.read_bytes(), content, labels))


def repository_folder(folder: Path) -> None:
    """`signs`: the same network as the files of a Hugging Face repository."""
    names = (SAMPLE / "labels.txt").read_text("utf-8").splitlines()
    config = {"model_type": "mobilenet_v1", "id2label": dict(enumerate(names))}
    preprocessor = {
        "image_processor_type": "MobileNetV1ImageProcessor", "size": {"shortest_edge": 146},
        "crop_size": {"height": 128, "width": 128},
    }  # fmt: skip
    (folder / "signs" / "onnx").mkdir(parents=True)
    shutil.copy(SAMPLE / "road-signs.onnx", folder / "signs" / "onnx" / "model.onnx")
    (folder / "signs" / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "signs" / "preprocessor_config.json").write_text(json.dumps(preprocessor), "utf-8")


def small_onnx(folder: Path) -> None:
    """`small.onnx`, and `photos`: twenty images like those that its batch norm recorded."""
    pytest.importorskip("onnx")
    frames = colour_images()
    save_images(folder / "photos", frames)
    write_network(folder / "small.onnx", TRAINED["torchvision RGB"], frames)


def features_onnx(folder: Path) -> None:
    """`features.onnx`: a network without a classifier."""
    pytest.importorskip("onnx")
    write_onnx(folder / "described", end="pooled")
    (folder / "described" / "small.onnx").rename(folder / "features.onnx")
    shutil.rmtree(folder / "described")


def own_weights(folder: Path) -> None:
    """`mine.pth`: torchvision's MobileNet V2 of width 0.35, which is right about the twelve sample images."""
    torch = pytest.importorskip("torch")
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    names = (SAMPLE / "labels.txt").read_text("utf-8").splitlines()
    classes = [names.index(path.stem.removesuffix("_01").replace("_", " ")) for path in SAMPLE_IMAGES]
    torch.manual_seed(0)
    module = MobileNetV2(width=0.35, classes=len(names))
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # the statistics are those of these images
    images = _as_trained(SAMPLE_IMAGES)
    with torch.no_grad():
        module.train()
        module(images)
        module.eval()
        features = module.features(images).mean(dim=(2, 3))
        head = module.classifier[-1]
        # There are fewer images than features: the logits of these images are 8 for their class, and otherwise 0.
        head.weight.copy_((torch.linalg.pinv(features) @ (8 * torch.eye(len(names)))[classes]).T)
        head.bias.zero_()
    torch.save(module.state_dict(), folder / "mine.pth")


def _as_trained(paths: Sequence[Path]) -> torch.Tensor:
    """The images with torchvision's resize, crop and normalisation."""
    import torch

    arrays = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        width, height = (round(256 * side / min(image.size)) for side in image.size)
        left, top = (width - 224) // 2, (height - 224) // 2
        image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
        arrays.append((np.asarray(image, np.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225])
    return torch.from_numpy(np.stack(arrays).astype(np.float32).transpose(0, 3, 1, 2))
