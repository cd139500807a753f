"""What the reader of a page has before its first command: files in the working folder, and packages.

A page that is not listed needs only the package itself. Each function gets the page's working folder; it skips the test
if a package is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest


def _packages(*names: str) -> Callable[[Path], None]:
    """For a page whose blocks need packages, and nothing else."""

    def prepare(folder: Path) -> None:
        for name in names:
            pytest.importorskip(name)

    return prepare


def _teachable_machine_and_timm(folder: Path) -> None:
    """The archive that Teachable Machine exports, a folder of timm, and images."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from make_flowers import write_images
    from teachable_export import write_export
    from timm_repository import write_repository

    write_export(folder / "converted_tflite.zip")
    write_repository(folder / "flowers-timm")
    write_images(folder / "images", 40)


PREPARATIONS: Mapping[str, Callable[[Path], None]] = {
    "docs/tutorials/own-pytorch-network.md": _packages("torch"),
    "docs/tutorials/teachable-machine.md": _teachable_machine_and_timm,
    "docs/tutorials/int8.md": _packages("nncf"),
}
