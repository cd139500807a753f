"""What the reader of a page has before its first command: files in the working folder, and packages.

A page that is not listed needs only the package itself. Each function gets the page's working folder; it skips the test
if a package is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import page_networks
import pytest
from page_blocks import ROOT


def sample_images(folder: Path) -> None:
    """The sample images in `images`, as `ov-mobilenet demo --samples images` copies them."""
    shutil.copytree(ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs" / "samples", folder / "images")


def images_and(*packages: str) -> Callable[[Path], None]:
    """The sample images, for a reader who has these packages too."""

    def prepare(folder: Path) -> None:
        needs(*packages)(folder)
        sample_images(folder)

    return prepare


def needs(*packages: str) -> Callable[[Path], None]:
    """A reader who has these packages too."""

    def prepare(_: Path) -> None:
        for package in packages:
            pytest.importorskip(package)

    return prepare


def own_networks(folder: Path) -> None:
    """A reader with networks of their own, in three formats."""
    page_networks.own_labels(folder)
    page_networks.own_onnx(folder)
    page_networks.own_tflite(folder)
    page_networks.small_onnx(folder)
    page_networks.own_weights(folder)


def diagnosed_networks(folder: Path) -> None:
    """ONNX networks, and jinja2 for the report."""
    needs("jinja2")(folder)
    page_networks.own_labels(folder)
    page_networks.own_onnx(folder)
    page_networks.small_onnx(folder)


def features(folder: Path) -> None:
    """A network without a classifier."""
    needs("pyarrow")(folder)
    page_networks.features_onnx(folder)


def teachable_machine_and_timm(folder: Path) -> None:
    """The archive that Teachable Machine exports, a folder of timm, and images."""
    needs("torch", "safetensors")(folder)
    from make_flowers import write_images
    from teachable_export import write_export
    from timm_repository import write_repository

    write_export(folder / "converted_tflite.zip")
    write_repository(folder / "flowers-timm")
    write_images(folder / "images", 40)


PREPARATIONS: Mapping[str, Callable[[Path], None]] = {
    "README.md": sample_images,
    "docs/explanation/normalisation-and-geometry.md": needs("onnxruntime"),
    "docs/explanation/numbers.md": needs("onnxruntime"),
    "docs/how-to/accuracy.md": sample_images,
    "docs/how-to/convert.md": needs("onnxruntime"),
    "docs/how-to/diagnose.md": diagnosed_networks,
    "docs/how-to/hugging-face.md": page_networks.repository_folder,
    "docs/how-to/own-network.md": own_networks,
    "docs/how-to/results.md": features,
    "docs/how-to/benchmark.md": images_and("jinja2"),
    "docs/how-to/bulk.md": images_and("pyarrow"),
    "docs/how-to/int8.md": images_and("nncf"),
    "docs/how-to/python.md": sample_images,
    "docs/how-to/serve.md": images_and("starlette", "uvicorn", "tritonclient.grpc"),
    "docs/how-to/tuning.md": sample_images,
    "docs/index.md": sample_images,
    "docs/tutorials/int8.md": needs("nncf"),
    "docs/tutorials/own-pytorch-network.md": needs("torch"),
    "docs/tutorials/teachable-machine.md": teachable_machine_and_timm,
    "docs/tutorials/service.md": needs("starlette", "uvicorn", "grpc", "tritonclient"),
    "docs/tutorials/ten-million-images.md": needs("pyarrow"),
}
