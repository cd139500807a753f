"""What the reader of a page has before its first command: files in the working folder, and packages.

A page that is not listed needs only the package itself. Each function gets the page's working folder; it skips the test
if a package is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from page_blocks import ROOT

SAMPLES = ROOT / "model_configs" / "mobilenet-v1-0.25-128-signs" / "samples"


def sample_images(folder: Path) -> None:
    """`ov-mobilenet demo --samples images`."""
    shutil.copytree(SAMPLES, folder / "images")


def with_packages(*names: str) -> Callable[[Path], None]:
    """The sample images, and packages that an extra installs."""

    def prepare(folder: Path) -> None:
        for name in names:
            pytest.importorskip(name)
        sample_images(folder)

    return prepare


PREPARATIONS: Mapping[str, Callable[[Path], None]] = {
    "docs/how-to/accuracy.md": sample_images,
    "docs/how-to/benchmark.md": with_packages("jinja2"),
    "docs/how-to/bulk.md": with_packages("pyarrow"),
    "docs/how-to/int8.md": with_packages("nncf"),
    "docs/how-to/python.md": sample_images,
    "docs/how-to/serve.md": with_packages("starlette", "uvicorn", "tritonclient.grpc"),
    "docs/how-to/tuning.md": sample_images,
}
