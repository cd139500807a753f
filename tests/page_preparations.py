"""What the reader of a page has before its first command: files in the working folder, and packages.

A page that is not listed needs only the package itself. Each function gets the page's working folder; it skips the test
if a package is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import page_networks
import pytest


def _verification(folder: Path) -> None:
    """The framework of the sample model's source network."""
    pytest.importorskip("onnxruntime")


def _own_networks(folder: Path) -> None:
    page_networks.own_labels(folder)
    page_networks.own_onnx(folder)
    page_networks.own_tflite(folder)
    page_networks.small_onnx(folder)
    page_networks.own_weights(folder)


def _diagnosed_networks(folder: Path) -> None:
    pytest.importorskip("jinja2")  # of the report
    page_networks.own_labels(folder)
    page_networks.own_onnx(folder)
    page_networks.small_onnx(folder)


def _results(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    page_networks.features_onnx(folder)


PREPARATIONS: Mapping[str, Callable[[Path], None]] = {
    "docs/how-to/convert.md": _verification,
    "docs/how-to/diagnose.md": _diagnosed_networks,
    "docs/how-to/hugging-face.md": page_networks.repository_folder,
    "docs/how-to/own-network.md": _own_networks,
    "docs/how-to/results.md": _results,
}
